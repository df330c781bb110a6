-- Records the outcomes of attempts.
-- Guarantee: each once, and only while its lease stands; one sent again is answered 'ok'. Stored before anybody is told.
-- KEYS  those of shared/lapse.lua
-- ARGV  losses that a job may have and still run again · then per outcome: id · token · what became of it ('succeeded',
--       'failed', 'retry', 'lost') · seconds: until the retry, or the time to live ('' for none); of one that is lost how
--       many others were with it · callback URL and, after a blank, webhook URL, each where there is one · what the
--       callback says of the result · whether it says it (1 or 0) · 1 if earlier runs may have left fields · number of
--       fields and values that follow · field · value · ...
-- RETURNS  per outcome 'ok' or 'lost'
--- include clock
--- include loss
local now, allowed, reply = clock(), tonumber(ARGV[1]), {}

local function finish(id, state, i, count)
  local seconds, urls, said, says = ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6]
  redis.call('HSET', jobs .. id, 'state', state, 'finished', now, unpack(ARGV, i + 9, i + 8 + count))
  redis.call('ZREM', leases, id .. ':' .. ARGV[i + 1])
  if ARGV[i + 7] == '1' then
    redis.call('HDEL', jobs .. id, 'waits_for', state == 'succeeded' and 'reason' or 'waits_for')
  end
  if state == 'failed' then
    redis.call('ZADD', dead, string.format('%.6f', now + #reply * 1e-6), id) -- in the order of the batch
  elseif seconds ~= '' then
    local expiry = string.format('%d', math.max(1, math.floor(seconds * 1000 + 0.5)))
    redis.call('PEXPIRE', jobs .. id, expiry)
    redis.call('PEXPIRE', posts .. id, expiry)
  end
  if urls ~= '' then
    local callback, webhook = string.match(urls, '^(%S*) ?(%S*)$')
    queue_deliveries(deliveries, delivery, jobs, posts, now, id, callback, webhook, state, said, says)
  end
  announce(jobs, posts, waiters, inboxes, id)
end

local function retry(id, i, count)
  local told = {}
  for f = i + 9, i + 8 + count, 2 do
    told[ARGV[f]] = ARGV[f + 1]
  end
  remember(jobs, id, now, told.reason or '', told.error_type or '', told.error or '', told.traceback or '')
  redis.call('HSET', jobs .. id, 'errors', whole(redis.call('HGET', jobs .. id, 'errors')) + 1)
  redis.call('ZREM', leases, id .. ':' .. ARGV[i + 1])
  redis.call('HSET', jobs .. id, 'state', 'scheduled', 'reason', told.reason or 'error', 'settled', ARGV[i + 1])
  redis.call('HDEL', jobs .. id, 'token', 'progress', 'started', 'worker', 'waits_for')
  redis.call('ZADD', scheduled, string.format('%.6f', now + tonumber(ARGV[i + 3])), id)
  hint(waiters, inboxes, id)
end

local i = 2
while i <= #ARGV do
  local id, token, what, count = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 8])
  local lease, word = id .. ':' .. token, 'ok'
  local lane = what == 'lost' and lane_of(posts, id)
  if redis.call('ZSCORE', leases, lease) then
    clear_way(id)
    if what == 'retry' then
      retry(id, i, count)
    elseif lane then
      redis.call('HSET', jobs .. id, 'settled', token)
      lose(now, id, lease, lane, ARGV[i + 10], allowed, ARGV[i + 12], tonumber(ARGV[i + 3]) or 0)
    else
      finish(id, what == 'lost' and 'failed' or what, i, count)
    end
  else
    local before = redis.call('HMGET', jobs .. id, 'token', 'finished', 'settled')
    if not (before[1] == token and before[2]) and before[3] ~= token then
      word = 'lost'
    end
  end
  reply[#reply + 1] = word
  i = i + 9 + count
end
return reply
