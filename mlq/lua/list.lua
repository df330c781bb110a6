-- One page of the namespace's jobs, newest first.
-- KEYS  counter string · posts prefix · jobs prefix · skipped_ids zset
-- ARGV  list jobs below this id, or '' to begin with the newest · jobs per page · state to filter by, or ''
-- RETURNS  {id below which the next page begins, or '0' at the end, current time, then per job: id, head of the record,
--          state, attempts, errors, losses alone, losses with others, worker, started, finished, reason of the last error,
--          progress if it runs and the value is short, or if it is a pipeline that goes on}
--- include clock
--- include head
--- include fields
--- include last_id
--- include steps_done
local counter, posts, jobs, skipped_ids = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local wanted, most = ARGV[3], tonumber(ARGV[2])
local id = ARGV[1] == '' and (last_id(redis.call('GET', counter)) or 0) or tonumber(ARGV[1]) - 1

-- What a listener reported, if that fits a line.
local function short_progress(job)
  return redis.call('HSTRLEN', job, 'progress') <= 256 and redis.call('HGET', job, 'progress')
end

local reply, width = {'0', clock()}, 12
local skipped, l = redis.pcall('ZREVRANGE', skipped_ids, 0, -1, 'WITHSCORES'), 1 -- id before a range, its last id, ...
for _ = 1, 2000 do
  while skipped[l + 1] and id <= tonumber(skipped[l + 1]) do
    id = math.min(id, last_id(skipped[l]) or id)
    l = l + 2
  end
  if id < 1 then
    return reply
  end
  if #reply > most * width then
    break
  end
  local name = string.format('%d', id)
  local head = read_head(posts .. name)
  if head ~= '' then
    local job = read_fields(jobs .. name, 'state', 'attempts', 'errors', 'losses', 'shared', 'worker', 'started', 'finished', 'reason')
    local state = job[1] or 'queued'
    if wanted == '' or wanted == state then
      reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = name, head, state
      for i = 2, 9 do
        reply[#reply + 1] = job[i]
      end
      reply[#reply + 1] = state == 'running' and short_progress(jobs .. name) or state == 'blocked' and steps_done(jobs .. name) or ''
    end
  end
  id = id - 1
end
reply[1] = string.format('%d', id + 1)
return reply
