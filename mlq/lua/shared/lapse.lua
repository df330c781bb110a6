-- Ends an attempt that has no value to show: `give_back` puts its job back into its lane, `bury` among the dead letters;
-- loss.lua decides between the two for one that was lost. The script that includes it has these keys:
-- KEYS  leases zset · jobs stem · posts stem · lane stem · lanes set · serves stem · class stem · dead zset
--       · waiters stem · inboxes stem · deliveries stem · delivery stem · scheduled zset · streams stem
--- include line_up
--- include history
--- include announce
--- include make_way
--- include finish
local leases, jobs, posts, lane_stem, lanes, serves = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local classes, dead, waiters, inboxes, deliveries, delivery = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
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
    send(inboxes .. worker, 'lost ' .. lease)
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

-- Takes a job from its attempt: it is to run again, and waits until then in `state`.
local function take_from_attempt(id, lease, state, reason)
  redis.call('HSET', jobs .. id, 'state', state, 'reason', reason)
  redis.call('HDEL', jobs .. id, 'token', 'progress', 'started', 'worker', 'waits_for')
  redis.call('ZREM', leases, lease)
end

local function give_back(now, id, lease, lane, reason, text)
  remember(jobs, id, now, reason, '', text, '')
  take_from_attempt(id, lease, 'queued', reason)
  line_up(lane_stem, lanes, serves, classes, lane, id)
  hint(waiters, inboxes, id)
end

-- Puts a job off until `due`, among the scheduled ones.
local function put_off(id, lease, due, reason)
  take_from_attempt(id, lease, 'scheduled', reason)
  redis.call('ZADD', scheduled, string.format('%.6f', due), id)
  hint(waiters, inboxes, id)
end
