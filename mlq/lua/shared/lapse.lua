-- Ends an attempt that has no value to show: `give_back` puts its job back into its lane, `bury` among the dead letters,
-- `lose` decides between the two. Needs history, line_up, wake, announce and finish, and these keys:
-- KEYS  leases zset · jobs stem · posts stem · lane stem · lanes set · version string · wakes stem · dead zset
--       · waiters stem · inboxes stem · deliveries stem · delivery stem · scheduled zset · streams stem
local leases, jobs, posts, lane_stem, lanes, version = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local wakes, dead, waiters, inboxes, deliveries, delivery = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local scheduled, streams = KEYS[13], KEYS[14]

-- The options that job `id` was posted with. Read them before the first write: a record may hold anything.
local function options_of(id)
  if not lane_of(posts, id) then
    return {}
  end
  local head = redis.call('GETRANGE', posts .. id, 0, 1199)
  local size, start = string.match(head, '^[^\n]+\n[^\n]+\n(%d%d?%d?%d?%d?)\n()')
  if not size or size == '0' then
    return {}
  end
  local options = redis.call('GETRANGE', posts .. id, start - 1, start + size - 2)
  local ok, read = pcall(cmsgpack.unpack, options)
  return ok and type(read) == 'table' and read or {}
end


-- Tells the worker of an attempt that the job was taken from it, so that it need not wait for its next renewal.
local function tell_worker(id, lease)
  local worker = redis.call('HGET', jobs .. id, 'worker')
  if worker then
    redis.call('RPUSH', inboxes .. worker, 'lost ' .. lease)
    redis.call('EXPIRE', inboxes .. worker, 60)
  end
end

local function bury(now, id, lease, reason, kind, text)
  local options = options_of(id)
  redis.call('HSET', jobs .. id, 'state', 'failed', 'finished', now, 'reason', reason, 'error_type', kind, 'error', text)
  redis.call('HDEL', jobs .. id, 'token', 'waits_for')
  redis.call('ZREM', leases, lease)
  redis.call('ZADD', dead, now, id)
  queue_deliveries(deliveries, delivery, jobs, posts, now, id, options.callback, options.webhook, 'failed', '', '0')
  announce(jobs, posts, waiters, inboxes, id)
end

local function give_back(now, id, lease, lane, reason, text)
  remember(jobs, id, now, reason, '', text, '')
  redis.call('HSET', jobs .. id, 'state', 'queued', 'reason', reason)
  redis.call('HDEL', jobs .. id, 'token', 'progress', 'started', 'worker', 'waits_for')
  redis.call('ZREM', leases, lease)
  line_up(lane_stem, lanes, version, wakes, lane, id)
  hint(waiters, inboxes, id)
end

-- Lets a job rest for up to 3 s. Those that were lost together begin apart then, so that one which kills its worker
-- does not take the others along to the last: neighbours have neighbouring ids, and 7919 spreads those.
local function rest(now, id, lease, reason, text)
  remember(jobs, id, now, reason, '', text, '')
  redis.call('HSET', jobs .. id, 'state', 'scheduled', 'reason', reason)
  redis.call('HDEL', jobs .. id, 'token', 'progress', 'started', 'worker', 'waits_for')
  redis.call('ZREM', leases, lease)
  redis.call('ZADD', scheduled, string.format('%.6f', now + id * 7919 % 3000 / 1000), id)
  hint(waiters, inboxes, id)
end

-- The worker of an attempt died, or the child that ran it: again, at once the first time, unless that has happened
-- `allowed` times already.
local function lose(now, id, lease, lane, reason, allowed, what)
  local losses = redis.call('HINCRBY', jobs .. id, 'losses', 1)
  if losses > allowed then
    bury(now, id, lease, reason, 'mlq.errors.LeaseLost', what .. ' in ' .. losses .. ' attempts, the last one on ' ..
      (redis.call('HGET', jobs .. id, 'worker') or 'an unknown worker'))
  elseif losses > 1 then
    rest(now, id, lease, reason, what)
  else
    give_back(now, id, lease, lane, reason, what)
  end
end
