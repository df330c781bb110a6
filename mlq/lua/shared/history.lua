-- Stores what became of an attempt that ends now, if the job will run again. The job's hash keeps the last 20 attempts.
-- Strings are cut, so that a job that is retried forever does not grow.
--- include whole
local function remember(jobs, id, now, reason, kind, text, trace)
  local run = redis.call('HMGET', jobs .. id, 'attempts', 'worker', 'started')
  local number = whole(run[1])
  local kept = {run[2] or '', run[3] or '', now, reason, kind, string.sub(text, 1, 2000), string.sub(trace, -8000)}
  redis.call('HSET', jobs .. id, 'past:' .. number, cmsgpack.pack(kept))
  if number > 20 then
    redis.call('HDEL', jobs .. id, 'past:' .. (number - 20))
  end
end
