-- Puts jobs into their lanes, at their places: those whose lease expired, those whose time has come, and those that have
-- waited for an hour to run apart. A job that has lost its lease too often becomes a dead letter (shared/loss.lua). Cancels
-- jobs that expire. Ends blocked jobs that wait for what is lost (shared/losses.lua).
-- Guarantee: an attempt is ended only after its lease expired, and never right after a pause in which nobody could renew:
-- if no worker has called this for `pause` seconds, leases get `grace` seconds more.
-- KEYS  those of shared/lapse.lua · then reaping hash · lost prefix · index of the caller's class zset · schedule_due zset
-- ARGV  pause in seconds · grace in seconds · leases that a job may lose and still run again · most jobs of this call
-- RETURNS  {how many leases were taken back, how many callbacks and webhooks are due, microseconds until the next job
--          comes due or -1, how many jobs wait to run apart, chores left, microseconds until
--          the next job expires or -1, microseconds until a schedule is due or -1, size of the index before}
--- include clock
--- include loss
--- include work
--- include lost_together
local reaping, lost, index, schedule_due = KEYS[21], KEYS[22], KEYS[23], KEYS[24]
--- include losses
local pause, grace, allowed, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = clock()
local size = tonumber(redis.pcall('ZCARD', index)) or 0
local last = redis.call('HMGET', reaping, 'at', 'hold', 'looked', 'place', 'from')
local at, hold = tonumber(last[1] or ''), tonumber(last[2] or '0') or 0
local paused = not at or math.abs(now - at) > pause or hold - now > grace -- also when the clock was set back
if paused then
  if at and at - now > pause then -- the clock was set back, so it is not known when schedules are due
    redis.pcall('ZUNIONSTORE', schedule_due, 1, schedule_due, 'WEIGHTS', 0)
  end
  hold = now + grace
  redis.call('HSET', reaping, 'hold', hold)
end
redis.call('HSET', reaping, 'at', now)
if paused or math.floor(now / 3600) ~= math.floor(at / 3600) then
  redis.call('EXPIRE', reaping, 86400)
end
local callbacks, webhooks = deliveries .. 'callback', deliveries .. 'webhook'
local some = redis.call('EXISTS', scheduled, leases, callbacks, webhooks, chores, blocked, expiring, schedule_due)
if some == 0 and not gating then -- all that idle workers find, every 1.5 s
  return {0, 0, -1, 0, 0, -1, -1, size}
end

local due = redis.call('ZCOUNT', callbacks, '-inf', now) + redis.call('ZCOUNT', webhooks, '-inf', now)
--- include due
if gating then
--- include gate_looks
  look_at_gates(now, most)
end
-- once a second, however many workers there are, and not while chores are left: these may be to tell jobs of an end or a requeue
if math.abs(now - whole(last[3])) >= 1 and redis.call('EXISTS', blocked) == 1 and redis.call('EXISTS', chores) == 0 then
  -- should a look fail, the next one goes on behind that job
  redis.call('HSET', reaping, 'looked', math.floor(now), 'place', whole(last[4]) + 1, 'from', 0)
  later('look', tostring(whole(last[4])), whole(last[5]))
end
local left = {} -- microseconds until the first of each
for i, times in ipairs({scheduled, expiring, schedule_due, gating and string.sub(gates, 1, -6) .. 'opening'}) do
  local first = redis.pcall('ZRANGE', times, 0, 0, 'WITHSCORES')[2]
  left[i] = first and math.max(0, math.floor((first - now) * 1e6)) or -1
end
if left[4] and left[4] >= 0 and left[4] < 1e15 and (left[1] < 0 or left[4] < left[1]) then left[1] = left[4] end
local apart = redis.call('ZCOUNT', scheduled, 1e11, '+inf')
if now + 0 < hold then
  return {0, due, left[1], apart, work(now), left[2], left[3], size}
end

local lapsed = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, most)
local suspects, taken = suspects_of(lapsed, leases, jobs, lost), {}
for _, lease in ipairs(lapsed) do
  local worker = worker_of(lease)
  local suspect = only_waits(jobs, lease) and 0 or 1
  taken[worker] = (taken[worker] or 0) + suspect
  local id = string.match(lease, '^[^:]*')
  local lane = lane_of(posts, id)
  delete_if_wrong_type(jobs .. id, 'hash')
  if lane then
    lose(now, id, lease, lane, 'lost', allowed, 'its worker died or was cut off', suspects[worker] - suspect)
  else
    make_dead_letter(now, id, lease, 'lost', 'mlq.errors.Undecodable', 'the message of this job is missing or damaged')
  end
  count_end(metrics, lane, 'lost')
end
note(taken, suspects, lost)
return {#lapsed, due, left[1], apart, work(now), left[2], left[3], size}
