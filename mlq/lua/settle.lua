-- Records the outcomes of attempts.
-- Guarantee: each outcome once, and only while its lease stands; an outcome sent again is answered 'ok'. The result is
-- stored before anybody is told, and the callback is queued in the same step.
-- KEYS  leases zset · jobs stem · posts stem · dead zset · waiters stem · inboxes stem · callbacks zset · callback stem
-- ARGV  per outcome: id · token · state · time to live in seconds, or '' · callback URL, or '' · what the callback says
--       of the result · whether it says it (1 or 0) · number of fields and values that follow · field · value · ...
-- RETURNS  per outcome 'ok' or 'lost'
--- include clock
--- include announce
--- include finish
local leases, jobs, posts, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local waiters, inboxes, callbacks, callback = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local now = clock()
local reply = {}
local i = 1
while i <= #ARGV do
  local id, token, state, ttl = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local url, said, says, count = ARGV[i + 4], ARGV[i + 5], ARGV[i + 6], tonumber(ARGV[i + 7])
  local lease = id .. ':' .. token
  local word = 'ok'
  if redis.call('ZSCORE', leases, lease) then
    local expiry = ttl ~= '' and string.format('%d', math.max(1, math.floor(ttl * 1000 + 0.5)))
    redis.call('HSET', jobs .. id, 'state', state, 'finished', now, unpack(ARGV, i + 8, i + 7 + count))
    redis.call('HDEL', jobs .. id, 'waits_for', state == 'succeeded' and 'reason' or 'waits_for')
    redis.call('ZREM', leases, lease)
    if state == 'failed' then
      redis.call('ZADD', dead, now, id)
    elseif expiry then
      redis.call('PEXPIRE', jobs .. id, expiry)
      redis.call('PEXPIRE', posts .. id, expiry)
    end
    if url ~= '' then
      queue_callback(callbacks, callback, now, id, url, state, said, says)
    end
    announce(waiters, inboxes, id)
  else
    local before = redis.call('HMGET', jobs .. id, 'token', 'finished')
    if before[1] ~= token or not before[2] then
      word = 'lost'
    end
  end
  reply[#reply + 1] = word
  i = i + 8 + count
end
return reply
