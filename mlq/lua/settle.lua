-- Records the outcomes of attempts.
-- Guarantee: each once, and only under its lease; the reply to one that is sent again is 'ok'. Everything is stored before
-- anybody is notified.
-- KEYS  those of shared/lapse.lua
-- ARGV  losses that a job may have and still run again · then per outcome: packed map (see `_packed` in ops/settling.py)
--       · result, or ''
-- RETURNS  per outcome 'ok' or 'lost'
--- include clock
--- include loss
local now, allowed, reply = clock(), tonumber(ARGV[1]), {}

local function finish(ending, state, result)
  local job, flat = jobs .. ending.id, {'state', state, 'finished', now}
  for name, value in pairs(ending.fields) do
    flat[#flat + 1], flat[#flat + 2] = name, value
  end
  if result then
    flat[#flat + 1], flat[#flat + 2] = 'result', result
  end
  redis.call('HSET', job, unpack(flat))
  redis.call('ZREM', leases, ending.id .. ':' .. ending.token)
  if ending.may_have_left then
    redis.call('HDEL', job, 'waits_for', state == 'succeeded' and 'reason' or 'waits_for')
  end
  if state == 'failed' then
    redis.call('ZADD', dead, string.format('%.6f', now + #reply * 1e-6), ending.id) -- keeps the order of a batch
  elseif ending.ttl then
    local expiry = string.format('%d', math.max(1, math.floor(ending.ttl * 1000 + 0.5)))
    redis.call('PEXPIRE', job, expiry)
    redis.call('PEXPIRE', posts .. ending.id, expiry)
  end
  if ending.callback or ending.webhook then
    queue_deliveries(deliveries, delivery, jobs, posts, now, ending.id, ending.callback, ending.webhook, state,
      ending.said or '', ending.said and '1' or '0')
  end
  announce(jobs, posts, waiters, inboxes, ending.id)
end

local verdicts = {}

function verdicts.succeeded(ending, result)
  finish(ending, 'succeeded', result)
end

function verdicts.failed(ending)
  finish(ending, 'failed')
end

function verdicts.retry(ending)
  local id, error = ending.id, ending.fields
  remember(jobs, id, now, error.reason or '', error.error_type or '', error.error or '', error.traceback or '')
  redis.call('HSET', jobs .. id, 'errors', whole(redis.call('HGET', jobs .. id, 'errors')) + 1, 'settled', ending.token)
  schedule(id, id .. ':' .. ending.token, now + ending.retry_in, error.reason or 'error')
end

-- The process of the attempt died. The record may be gone, too.
function verdicts.lost(ending)
  local lane = lane_of(posts, ending.id)
  if not lane then
    return finish(ending, 'failed')
  end
  redis.call('HSET', jobs .. ending.id, 'settled', ending.token)
  lose(now, ending.id, ending.id .. ':' .. ending.token, lane, ending.fields.reason, allowed, ending.fields.error, ending.beside)
end

for i = 2, #ARGV, 2 do
  local ending, word = cmsgpack.unpack(ARGV[i]), 'ok'
  if redis.call('ZSCORE', leases, ending.id .. ':' .. ending.token) then
    delete_if_wrong_type(jobs .. ending.id, 'hash')
    verdicts[ending.verdict](ending, ARGV[i + 1])
  else
    local before = redis.call('HMGET', jobs .. ending.id, 'token', 'finished', 'settled')
    local is_again = (before[1] == ending.token and before[2]) or before[3] == ending.token
    word = is_again and 'ok' or 'lost'
  end
  reply[#reply + 1] = word
end
return reply
