-- Turns an entry that is not an id, or whose record is missing or of another type, into a dead letter, so that it does
-- not block the queue.
local function bury_broken(posts, jobs, dead, id, now)
  redis.call('DEL', posts .. id, jobs .. id)
  redis.call('HSET', jobs .. id, 'state', 'failed', 'finished', now, 'reason', 'error',
    'error_type', 'mlq.errors.Undecodable', 'error', 'the message of this entry is missing')
  redis.call('ZADD', dead, now, id)
end

-- Counts an attempt. If the job's key is not a hash of ours, it is replaced. Call this after another write, so that a
-- server that refuses writes has refused before.
local function count_attempt(jobs, id)
  local attempt = redis.pcall('HINCRBY', jobs .. id, 'attempts', 1)
  if type(attempt) ~= 'number' then
    redis.call('DEL', jobs .. id)
    attempt = redis.call('HINCRBY', jobs .. id, 'attempts', 1)
  end
  return attempt
end
