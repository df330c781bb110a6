-- Ends an attempt that has no result: `return_to_lane` puts its job back into its lane, `schedule` schedules it for later, and
-- `make_dead_letter` makes it a dead letter. For an attempt that was lost, loss.lua decides between these. A script that includes this
-- file takes these keys:
-- KEYS  leases zset · jobs prefix · posts prefix · lane prefix · lanes set · serves prefix · class prefix · dead zset
--       · waiters prefix · inboxes prefix · deliveries prefix · delivery prefix · scheduled zset · streams prefix
--       · blocked zset · chores list · metrics hash · expiring zset · workers zset · gates string
--- include lapse_keys
--- include head
--- include line_up
--- include history
--- include announce
--- include delete_if_wrong_type
--- include finish
--- include options
--- include part
--- include later
--- include release
if redis.call('EXISTS', gates) == 1 then
--- include gating
  function gating.opened(lane) change_share(lane_prefix, lanes, serves, classes, 'opened', lane) end
end

-- Corrects what the share of a job was charged for its attempt; see ring_used.lua. Call it before the lease ends.
local function charge(now, id, lane, used)
  if lane and string.find(lane, '|', 1, true) then
    change_share(lane_prefix, lanes, serves, classes, 'used', lane, id, now, used)
  end
end

-- Removes what an attempt has posted for a split that does not begin.
local function drop_plan(lease)
  if redis.call('EXISTS', jobs .. lease .. ':plan') == 1 then
    later('drop plan', jobs .. lease .. ':plan')
  end
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
  charge(now, id, lane_of(posts, id))
  redis.call('HSET', jobs .. id, 'state', 'failed', 'finished', now, 'reason', reason, 'error_type', kind, 'error', text)
  redis.call('HDEL', jobs .. id, 'token', 'waits_for')
  end_lease(id, lease)
  redis.call('ZADD', dead, now, id)
  queue_deliveries(deliveries, delivery, jobs, posts, now, id, options.callback, options.webhook, 'failed', '', '0')
  announce(jobs, posts, waiters, inboxes, id)
  drop_plan(lease)
  tell_of_end(id, 'failed', options)
end

-- Ends the attempt of a job that is to run again, and that waits in `state` until then; `is_unbegun`: its listener was not called.
local function take_from_attempt(id, lease, state, reason, is_unbegun)
  redis.call('HSET', jobs .. id, 'state', state, 'reason', reason)
  redis.call('HDEL', jobs .. id, 'token', 'progress', 'started', 'worker', 'waits_for')
  end_lease(id, lease, is_unbegun)
  drop_plan(lease)
end

local function return_to_lane(now, id, lease, lane, reason, text, is_unbegun)
  charge(now, id, lane, is_unbegun and 0 or nil)
  remember(jobs, id, now, reason, '', text, '')
  take_from_attempt(id, lease, 'queued', reason, is_unbegun)
  line_up(lane_prefix, lanes, serves, classes, lane, id, place_of(id, options_of(id)))
  notify_followers(waiters, inboxes, id)
end

-- Schedules a job to run again at `due`.
local function schedule(id, lease, due, reason)
  take_from_attempt(id, lease, 'scheduled', reason)
  redis.call('ZADD', scheduled, string.format('%.6f', due), id)
  notify_followers(waiters, inboxes, id)
end
