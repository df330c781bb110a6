-- Puts jobs back into their lanes, at their old places: those whose lease expired, those whose retry is due, and those that
-- have waited for an hour to run apart. A job that has lost its lease too often becomes a dead letter (shared/loss.lua).
-- Guarantee: an attempt is ended only after its lease expired, and never right after a pause in which nobody could renew:
-- if no worker has called this for `pause` seconds, leases get `grace` seconds more.
-- KEYS  those of shared/lapse.lua · then reaping hash · lost prefix · index of the caller's class zset
-- ARGV  pause in seconds · grace in seconds · leases that a job may lose and still run again · most jobs of this call
-- RETURNS  {how many leases were taken back, how many callbacks and webhooks are due, microseconds until the next retry is
--          due or -1, how many jobs wait to run apart, chores left, size of the index before}
--- include clock
--- include transitions
--- include loss
--- include work
--- include lost_together
local reaping, lost, index = KEYS[18], KEYS[19], KEYS[20]
local pause, grace, allowed, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = clock()
local size = tonumber(redis.pcall('ZCARD', index)) or 0
local last = redis.call('HMGET', reaping, 'at', 'hold')
local at, hold = tonumber(last[1] or ''), tonumber(last[2] or '0') or 0
local paused = not at or math.abs(now - at) > pause or hold - now > grace -- also when the clock was set back
if paused then
  hold = now + grace
  redis.call('HSET', reaping, 'hold', hold)
end
redis.call('HSET', reaping, 'at', now)
if paused or math.floor(now / 3600) ~= math.floor(at / 3600) then
  redis.call('EXPIRE', reaping, 86400)
end
local callbacks, webhooks = deliveries .. 'callback', deliveries .. 'webhook'
if redis.call('EXISTS', scheduled, leases, callbacks, webhooks, chores) == 0 then -- all that idle workers find, every 1.5 s
  return {0, 0, -1, 0, 0, size}
end

local due = redis.call('ZCOUNT', callbacks, '-inf', now) + redis.call('ZCOUNT', webhooks, '-inf', now)
local ready = redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, most)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', scheduled, 1e11, now + 1e11 - 3600, 'LIMIT', 0, most)) do
  ready[#ready + 1] = id
end
for _, id in ipairs(ready) do
  local lane = lane_of(posts, id)
  redis.call('ZREM', scheduled, id)
  local state = after(redis.pcall('HGET', jobs .. id, 'state'), 'come due')
  if lane and state then
    redis.call('HSET', jobs .. id, 'state', state)
    line_up(lane_prefix, lanes, serves, classes, lane, id, place_of(id, options_of(id)))
  end
end
local first = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2]
local next_due = first and math.max(0, math.floor((first - now) * 1e6)) or -1
local apart = redis.call('ZCOUNT', scheduled, 1e11, '+inf')
if now + 0 < hold then
  return {0, due, next_due, apart, work(now), size}
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
return {#lapsed, due, next_due, apart, work(now), size}
