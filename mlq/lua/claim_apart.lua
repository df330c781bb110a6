-- Claims one job that waits to run apart, under a lease, unless one of its gates is closed.
-- Guarantee: as in claim.lua; the same call sent again returns the same attempt. The worker must make sure that the job
-- runs apart.
-- KEYS  scheduled zset · posts prefix · jobs prefix · leases zset · waiters prefix · inboxes prefix · class prefix · gates string
-- ARGV  id · token · worker · lease in seconds
-- RETURNS  {'ok', now, id, attempt, record}, the attempt as in claim.lua · {'ok', now} if the job no longer waits
--- include broken
--- include claim_reply
--- include announce
--- include wake
local scheduled, posts, jobs, leases, waiters, inboxes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local classes, gates = KEYS[7], KEYS[8]
local id, token, worker, lease = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if redis.pcall('HGET', jobs .. id, 'token') == token then
  return claimed_again(jobs, posts, '0 ' .. id, token)
end
local now = clock()
local record = small_record(posts, id)
if tonumber(redis.call('ZSCORE', scheduled, id) or '0') < 1e11 or not record then
  return {'ok', now}
end
local its = {}
if redis.call('EXISTS', gates) == 1 then
--- include gating
  its = gating.gates_of(lane_of(posts, id) or '')
  if gating.closed_one(its) then return {'ok', now} end -- it waits on
end
redis.call('ZADD', leases, string.format('%.6f', now + lease), id .. ':' .. token)
local attempt = count_attempt(jobs, id)
redis.call('HSET', jobs .. id, 'state', 'running', 'token', token, 'worker', worker, 'started', now)
if string.find(record ~= '' and record or read_head(posts .. id), '^[^\n]*|') then -- its share pays when it ends
  redis.call('HSET', jobs .. id, 'charged', '0')
end
redis.call('ZREM', scheduled, id)
if its[1] then
  gating.take_places(its, {id .. ':' .. token})
  redis.call('HSET', jobs .. id, 'gates', gating.counting(its) or '')
end
notify_followers(waiters, inboxes, id)
return {'ok', now, id, about_attempt(jobs, id, attempt, 0), record}
