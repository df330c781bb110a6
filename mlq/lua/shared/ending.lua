-- Ends an attempt as its worker reports it, and its job with it.
--- include lapse
--- include release
--- include expiry
--- include finish
--- include announce
--- include later

-- `ending`: see `_packed` in ops/settling.py; `number`: of this end among those of the call, which keeps the order of a batch among the dead letters.
local function finish_attempt(now, ending, state, result, number)
  local job, flat = jobs .. ending.id, {'state', state, 'finished', now}
  for name, value in pairs(ending.fields) do
    flat[#flat + 1], flat[#flat + 2] = name, value
  end
  if result then
    flat[#flat + 1], flat[#flat + 2] = 'result', result
  end
  redis.call('HSET', job, unpack(flat))
  end_lease(ending.id, ending.id .. ':' .. ending.token)
  if ending.may_have_left then
    redis.call('HDEL', job, 'waits_for', state == 'succeeded' and 'reason' or 'waits_for')
  end
  if state == 'failed' then
    redis.call('ZADD', dead, string.format('%.6f', now + number * 1e-6), ending.id) -- keeps the order of a batch
    drop_plan(ending.id .. ':' .. ending.token)
  elseif ending.ttl then
    let_expire(ending.id, ending)
  end
  tell_of_end(ending.id, state, ending)
  if ending.callback or ending.webhook then
    queue_deliveries(deliveries, delivery, jobs, posts, now, ending.id, ending.callback, ending.webhook, state,
      ending.said or '', ending.said and '1' or '0')
  end
  announce(jobs, posts, waiters, inboxes, ending.id)
end
