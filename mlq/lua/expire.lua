-- Cancels a job that expired before a worker took it, for that worker, which has not begun it.
-- Guarantee: a job that began before, or that a person has requeued, goes on.
-- KEYS  those of shared/lapse.lua
-- ARGV  id · token
-- RETURNS  1 if the attempt is over, 0 if it goes on
--- include clock
--- include work
--- include release
local id, lease = ARGV[1], ARGV[1] .. ':' .. ARGV[2]
if not redis.call('ZSCORE', leases, lease) then
  return 1
end
local own, now = redis.call('HMGET', jobs .. id, 'attempts', 'lasts'), clock()
if whole(own[1]) ~= 1 or own[2] then
  return 0
end
charge(now, id, lane_of(posts, id), 0)
end_lease(id, lease, true)
redis.call('HSET', jobs .. id, 'state', 'queued', 'attempts', 0) -- as it was
redis.call('HDEL', jobs .. id, 'token', 'started', 'worker')
cancel_one(now, id, 'expired')
work(now)
return 1
