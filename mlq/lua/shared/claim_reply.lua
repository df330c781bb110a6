-- What a claim replies of its jobs.

--- include whole
--- include clock
--- include head

-- An attempt's number; after the first attempt, a string with the number of earlier attempts that ended in an error:
-- 'attempt errors'. For one that runs in a batch: 'attempt errors losses batch', the losses with others and the number of
-- its batch among those of the claim.
local function about_attempt(jobs, id, attempt, batch)
  if batch == 0 then
    return attempt == 1 and 1 or attempt .. ' ' .. whole(redis.call('HGET', jobs .. id, 'errors'))
  end
  local counts = attempt == 1 and {} or redis.call('HMGET', jobs .. id, 'errors', 'shared')
  return string.format('%d %d %d %d', attempt, whole(counts[1]), whole(counts[2]), batch)
end

-- How many jobs of a lane run together, 0 if each runs by itself. `sizes` has pairs of a size and of the names that it is for,
-- a function as ':function', and a queue for jobs without one: searching a text is faster than unpacking a map of 1,000 models.
local function batch_size(sizes, lane)
  if not sizes or string.sub(lane, 1, 1) == '#' then return 0 end -- a chunk of a file is rows enough for a batch
  local queue, functions = string.match(lane, '^([^:|]*):?([^|]*)')
  local name = '\n' .. (functions ~= '' and ':' .. functions or queue) .. '\n'
  for _, pair in ipairs(sizes[',sizes'] or {}) do
    if string.find(pair[2], name, 1, true) then return pair[1] end
  end
  return 0
end

-- The listeners of a lane of which only so many units may be claimed; nil if there are no such limits. `sizes` has the
-- rooms by listener, and the listeners by queue for jobs without functions.
local function limited_by(sizes, lane)
  local rooms = sizes and sizes[',rooms']
  if not rooms then return nil end
  local queue, functions = string.match(lane, '^([^:|]*):?([^|]*)')
  if functions == '' then return sizes[',plain'][queue] end
  local found = {}
  for name in string.gmatch(functions, '[^,]+') do
    if rooms[name] then found[#found + 1] = name end
  end
  return found
end

-- A job's record, and its length; '' for one above 64 KiB, and false if there is none, or a key of another type.
local function small_record(posts, id)
  local record = is_id(id) and redis.pcall('GETRANGE', posts .. id, 0, 65536)
  if type(record) ~= 'string' or record == '' then
    return false, 0
  elseif #record <= 65536 then
    return record, #record
  end
  return '', redis.call('STRLEN', posts .. id)
end

-- The reply to a claim that was sent again: of the jobs that it got (`last`), those that it still holds.
local function claimed_again(jobs, posts, last, token, sizes)
  local reply, open, batches = {'ok', clock()}, {}, 0
  -- The number of the batch of a lane's next job.
  local function batch_of(lane)
    local most = batch_size(sizes, lane)
    if most == 0 then return 0 end
    local last_one = open[lane]
    if not last_one or last_one.size == most then
      batches = batches + 1
      last_one = {number = batches, size = 0}
      open[lane] = last_one
    end
    last_one.size = last_one.size + 1
    return last_one.number
  end
  for id in string.gmatch(last, ' ([^ ]+)') do
    local held = redis.call('HMGET', jobs .. id, 'token', 'attempts')
    if held[1] == token then
      reply[#reply + 1] = id
      reply[#reply + 1] = about_attempt(jobs, id, whole(held[2]), sizes and batch_of(string.match(lane_of(posts, id) or '', '^[^|]*')) or 0)
      reply[#reply + 1] = small_record(posts, id) or ''
    end
  end
  return reply
end
