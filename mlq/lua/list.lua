-- One page of the namespace's jobs, newest first.
-- KEYS  counter string · posts stem · jobs stem · leaps zset
-- ARGV  id to begin below, or '' for the newest · jobs a page · state to keep, or ''
-- RETURNS  {id to go on below, or '0' at the end, then per job: id, head of the record, state, attempts, worker, started, finished}
--- include head
--- include fields
--- include last_id
local counter, posts, jobs, leaps = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local wanted, most = ARGV[3], tonumber(ARGV[2])
local id = ARGV[1] == '' and (last_id(redis.call('GET', counter)) or 0) or tonumber(ARGV[1]) - 1
local reply = {'0'}
local left_out, l = redis.pcall('ZREVRANGE', leaps, 0, -1, 'WITHSCORES'), 1 -- id before, last left out, ...
for _ = 1, 2000 do
  while left_out[l + 1] and id <= tonumber(left_out[l + 1]) do
    id = math.min(id, last_id(left_out[l]) or id)
    l = l + 2
  end
  if id < 1 then
    return reply
  end
  if #reply > most * 7 then
    break
  end
  local name = string.format('%d', id)
  local head = read_head(posts .. name)
  if head ~= '' then
    local job = read_fields(jobs .. name, 'state', 'attempts', 'worker', 'started', 'finished')
    local state = job[1] or 'queued'
    if wanted == '' or wanted == state then
      for _, value in ipairs({name, head, state, job[2], job[3], job[4], job[5]}) do
        reply[#reply + 1] = value
      end
    end
  end
  id = id - 1
end
reply[1] = string.format('%d', id + 1)
return reply
