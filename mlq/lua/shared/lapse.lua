-- Ends an attempt that has no result: `return_to_lane` puts its job back into its lane, `schedule` schedules it for later, and
-- `make_dead_letter` makes it a dead letter. For an attempt that was lost, loss.lua decides between these. A script that includes this
-- file takes these keys:
-- KEYS  leases zset · jobs prefix · posts prefix · lane prefix · lanes set · serves prefix · class prefix · dead zset
--       · waiters prefix · inboxes prefix · deliveries prefix · delivery prefix · scheduled zset · streams prefix
--- include head
--- include line_up
--- include history
--- include announce
--- include delete_if_wrong_type
--- include finish
local leases, jobs, posts, lane_prefix, lanes, serves = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local classes, dead, waiters, inboxes, deliveries, delivery = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local scheduled, streams = KEYS[13], KEYS[14]

-- The options that job `id` was posted with. Call this before the first write: a damaged record may make it fail.
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

-- Notifies the worker of an attempt that its lease was taken away, so that it does not learn that only at its next renewal.
local function tell_worker(id, lease)
  local worker = redis.call('HGET', jobs .. id, 'worker')
  if worker then
    send(inboxes .. worker, 'lost ' .. lease)
  end
end

local function make_dead_letter(now, id, lease, reason, kind, text)
  local options = options_of(id)
  redis.call('HSET', jobs .. id, 'state', 'failed', 'finished', now, 'reason', reason, 'error_type', kind, 'error', text)
  redis.call('HDEL', jobs .. id, 'token', 'waits_for')
  redis.call('ZREM', leases, lease)
  redis.call('ZADD', dead, now, id)
  queue_deliveries(deliveries, delivery, jobs, posts, now, id, options.callback, options.webhook, 'failed', '', '0')
  announce(jobs, posts, waiters, inboxes, id)
end

-- Ends the attempt of a job that is to run again, and that waits in `state` until then.
local function take_from_attempt(id, lease, state, reason)
  redis.call('HSET', jobs .. id, 'state', state, 'reason', reason)
  redis.call('HDEL', jobs .. id, 'token', 'progress', 'started', 'worker', 'waits_for')
  redis.call('ZREM', leases, lease)
end

local function return_to_lane(now, id, lease, lane, reason, text)
  remember(jobs, id, now, reason, '', text, '')
  take_from_attempt(id, lease, 'queued', reason)
  line_up(lane_prefix, lanes, serves, classes, lane, id)
  notify_followers(waiters, inboxes, id)
end

-- Schedules a job to run again at `due`.
local function schedule(id, lease, due, reason)
  take_from_attempt(id, lease, 'scheduled', reason)
  redis.call('ZADD', scheduled, string.format('%.6f', due), id)
  notify_followers(waiters, inboxes, id)
end
