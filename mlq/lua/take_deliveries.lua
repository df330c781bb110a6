-- Takes deliveries of one kind that are due, each under a lease: if the sender dies, they become due again.
-- Guarantee: a delivery that failed `tries` times is dropped, whoever tried. Tries that died with their sender, so that
-- their outcome is unknown, do not count as failed, but ten of them also drop the delivery.
-- KEYS  deliveries zset · delivery prefix
-- ARGV  most to take · lease in seconds · tries
-- RETURNS  per delivery: id, {field, value, ...}
--- include clock
--- include whole
local deliveries, prefix = KEYS[1], KEYS[2]
local lease, tries = tonumber(ARGV[2]), tonumber(ARGV[3])
local now = clock()
local reply = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', deliveries, '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local known = redis.call('HMGET', prefix .. id, 'tries', 'failed')
  local begun, failed = known[1] and whole(known[1]), whole(known[2])
  if begun and failed < tries and begun - failed < 10 then
    redis.call('HSET', prefix .. id, 'tries', begun + 1)
    redis.call('ZADD', deliveries, now + lease, id)
    reply[#reply + 1], reply[#reply + 2] = id, redis.call('HGETALL', prefix .. id)
  else
    redis.call('DEL', prefix .. id)
    redis.call('ZREM', deliveries, id)
  end
end
return reply
