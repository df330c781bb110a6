-- What a claim replies of its jobs.

-- An attempt's number and the number of earlier attempts that ended in an error, as one string.
--- include whole
--- include clock
local function with_errors(jobs, id, attempt)
  return attempt .. ' ' .. whole(redis.call('HGET', jobs .. id, 'errors'))
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
local function claimed_again(jobs, posts, last, token)
  local reply = {'ok', clock()}
  for id in string.gmatch(last, ' ([^ ]+)') do
    local held = redis.call('HMGET', jobs .. id, 'token', 'attempts')
    if held[1] == token then
      reply[#reply + 1], reply[#reply + 2] = id, with_errors(jobs, id, whole(held[2]))
      reply[#reply + 1] = small_record(posts, id) or ''
    end
  end
  return reply
end
