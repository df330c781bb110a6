-- Claims one job that waits to run apart, under a lease.
-- Guarantee: as in claim.lua; the same call sent again returns the same attempt. The worker must make sure that the job
-- runs apart.
-- KEYS  scheduled zset · posts prefix · jobs prefix · leases zset · waiters prefix · inboxes prefix
-- ARGV  id · token · worker · lease in seconds
-- RETURNS  {'ok', now, id, attempt, record}, the attempt as in claim.lua · {'ok', now} if the job no longer waits
--- include broken
--- include claim_reply
--- include announce
local scheduled, posts, jobs, leases, waiters, inboxes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, token, worker, lease = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if redis.pcall('HGET', jobs .. id, 'token') == token then
  return claimed_again(jobs, posts, '0 ' .. id, token)
end
local now = clock()
local record = small_record(posts, id)
if tonumber(redis.call('ZSCORE', scheduled, id) or '0') < 1e11 or not record then
  return {'ok', now}
end
redis.call('ZADD', leases, string.format('%.6f', now + lease), id .. ':' .. token)
local attempt = count_attempt(jobs, id)
redis.call('HSET', jobs .. id, 'state', 'running', 'token', token, 'worker', worker, 'started', now)
redis.call('ZREM', scheduled, id)
notify_followers(waiters, inboxes, id)
return {'ok', now, id, about_attempt(jobs, id, attempt, 0), record}
