-- Puts a delivery back that was taken, but not tried: it is due again in some seconds.
-- Guarantee: only the one that took it last does that, and it counts as if it had not been taken.
-- KEYS  deliveries zset · delivery hash
-- ARGV  id · time when it was queued · how often it was taken · seconds
-- RETURNS  'ok' or 'gone'
--- include clock
local deliveries, delivery = KEYS[1], KEYS[2]
local known = redis.call('HMGET', delivery, 'queued', 'tries')
if known[1] ~= ARGV[2] or known[2] ~= ARGV[3] then
  return 'gone'
end
redis.call('ZADD', deliveries, string.format('%.6f', clock() + tonumber(ARGV[4])), ARGV[1])
redis.call('HINCRBY', delivery, 'tries', -1)
return 'ok'
