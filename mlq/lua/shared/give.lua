-- Gives the result of a job to the one that it ran for.
--- include expiry
--- include announce
--- include finish
--- include fields
--- include options
--- include later

-- Whether job `to` waits for the outcome of `id`.
local function waits_for_outcome(to, id)
  local own = read_fields(jobs .. to, 'state', 'tail')
  return own[1] == 'blocked' and own[2] == id
end

-- Gives job `to` the result of the job that ran for it. `said`: the short result as it goes into a callback's URL, or nil.
local function give(now, to, fields, result, said)
  local options, flat = options_of(to), {'state', 'succeeded', 'finished', now, 'result', result}
  for name, value in pairs(fields) do
    flat[#flat + 1], flat[#flat + 2] = name, value
  end
  redis.call('HSET', jobs .. to, unpack(flat))
  redis.call('ZREM', blocked, to)
  if options.expires then redis.call('ZREM', expiring, to) end
  if options.key then change_key(to, options) end
  let_expire(to, options)
  queue_deliveries(deliveries, delivery, jobs, posts, now, to, options.callback, options.webhook, 'succeeded', said or '', said and '1' or '0')
  announce(jobs, posts, waiters, inboxes, to)
  later('end', to, 'succeeded', options)
end
