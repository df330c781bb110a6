-- A job's state and progress, without moving its message or result.
-- KEYS  post string · job hash
-- RETURNS  {} for an unknown job · {state, progress or false}
local post, job = KEYS[1], KEYS[2]
local now = redis.call('HMGET', job, 'state', 'progress')
if not now[1] then
  return redis.call('EXISTS', post) == 1 and {'queued', false} or {}
end
return now
