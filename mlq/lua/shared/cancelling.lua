-- Cancels one job that has not ended, and what it was waiting for.
--- include lapse
--- include release
--- include expiry
--- include count
--- include later

local function cancel_one(now, id, reason)
  local lane, state = lane_of(posts, id), redis.call('HGET', jobs .. id, 'state') or 'queued'
  local options = options_of(id)
  redis.call('HSET', jobs .. id, 'state', 'cancelled', 'finished', now, 'reason', reason)
  if state == 'running' then
    charge(now, id, lane)
    local lease = id .. ':' .. (redis.call('HGET', jobs .. id, 'token') or '')
    end_lease(id, lease)
    tell_worker(id, lease)
    drop_plan(lease)
    count_end(metrics, lane, 'cancelled')
  end
  redis.call('HDEL', jobs .. id, 'token', 'waits_for')
  leave_line(lane_prefix, lanes, serves, classes, lane, id)
  redis.call('ZREM', scheduled, id)
  redis.call('ZREM', blocked, id)
  queue_deliveries(deliveries, delivery, jobs, posts, now, id, options.callback, options.webhook, 'cancelled', '', '0')
  announce(jobs, posts, waiters, inboxes, id)
  tell_of_end(id, 'cancelled', options)
  if state == 'blocked' and redis.call('HEXISTS', jobs .. id, 'tail') == 1 then later('cancel tail', id) end
  let_expire(id, options) -- last, so that all that it waited for has ended when it gets its time to live
end
