-- Cancels a job that has not ended: takes it out of its lane, or from the worker that runs it, and notifies that worker.
-- Guarantee: the job does not run unless a person requeues it, and nothing more is accepted from its attempt. Cancelling
-- twice has the same effect as once.
-- KEYS  those of shared/lapse.lua · then metrics hash
-- ARGV  id · stamp of the job that is meant, or '' for any with that id
-- RETURNS  {'ok'} · {'gone'} · {'other'} · {'state', the state that forbids it}
--- include clock
--- include transitions
--- include lapse
--- include check_stamp
--- include count
local metrics = KEYS[15]
local id = ARGV[1]
local _, word = check_stamp(posts .. id, jobs .. id, ARGV[2])
if word then
  return {word}
end
local lane = lane_of(posts, id)
if not lane then
  return {'gone'}
end
local state = redis.call('HGET', jobs .. id, 'state') or 'queued'
if state == 'cancelled' then
  return {'ok'}
end
if not after(state, 'cancel') then
  return {'state', state}
end
local options = options_of(id)
local ttl = tonumber(options.ttl)
redis.call('HSET', jobs .. id, 'state', 'cancelled', 'finished', clock(), 'reason', 'cancelled')
if state == 'running' then
  local lease = id .. ':' .. (redis.call('HGET', jobs .. id, 'token') or '')
  redis.call('ZREM', leases, lease)
  tell_worker(id, lease)
  count_end(metrics, lane, 'cancelled')
end
redis.call('HDEL', jobs .. id, 'token', 'waits_for')
leave_line(lane_prefix, lanes, serves, classes, lane, id)
redis.call('ZREM', scheduled, id)
queue_deliveries(
  deliveries, delivery, jobs, posts, clock(), id, options.callback, options.webhook, 'cancelled', '', '0'
)
if ttl and ttl > 0 and ttl < 1e10 then
  local expiry = string.format('%d', math.max(1, math.floor(ttl * 1000 + 0.5)))
  redis.call('PEXPIRE', jobs .. id, expiry)
  redis.call('PEXPIRE', posts .. id, expiry)
end
announce(jobs, posts, waiters, inboxes, id)
return {'ok'}
