-- Takes deliveries of one kind that are due, each for `lease` seconds: when the sender dies, they come due again.
-- Guarantee: none is tried more than `tries` times, whoever tries. A try that died with its sender, so that nobody knows
-- what came of it, counts only after ten of them.
-- KEYS  deliveries zset · delivery stem
-- ARGV  most to take · lease in seconds · tries
-- RETURNS  per delivery: id, {field, value, ...}
--- include clock
--- include whole
local deliveries, stem = KEYS[1], KEYS[2]
local lease, tries = tonumber(ARGV[2]), tonumber(ARGV[3])
local now = clock()
local reply = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', deliveries, '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local known = redis.call('HMGET', stem .. id, 'tries', 'failed')
  local begun, failed = known[1] and whole(known[1]), whole(known[2])
  if begun and failed < tries and begun - failed < 10 then
    redis.call('HSET', stem .. id, 'tries', begun + 1)
    redis.call('ZADD', deliveries, now + lease, id)
    reply[#reply + 1], reply[#reply + 2] = id, redis.call('HGETALL', stem .. id)
  else
    redis.call('DEL', stem .. id)
    redis.call('ZREM', deliveries, id)
  end
end
return reply
