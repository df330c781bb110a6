-- Makes a dead letter of an entry that is no id, or whose message is missing or of another type, so that it does not stop
-- the queue.
local function bury_broken(posts, jobs, dead, id, now)
  redis.call('DEL', posts .. id, jobs .. id)
  redis.call('HSET', jobs .. id, 'state', 'failed', 'finished', now, 'reason', 'error',
    'error_type', 'mlq.errors.Undecodable', 'error', 'the message of this entry is missing')
  redis.call('ZADD', dead, now, id)
end

-- Counts an attempt. What is no hash of ours under the job's name goes. Write something before: a server that refuses
-- now must not refuse this alone.
local function count_attempt(jobs, id)
  local attempt = redis.pcall('HINCRBY', jobs .. id, 'attempts', 1)
  if type(attempt) ~= 'number' then
    redis.call('DEL', jobs .. id)
    attempt = redis.call('HINCRBY', jobs .. id, 'attempts', 1)
  end
  return attempt
end
