-- Takes callbacks that are due, each for `lease` seconds: when the sender dies, they come due again.
-- Guarantee: no callback is tried more than `tries` times, whoever tries.
-- KEYS  callbacks zset · callback stem
-- ARGV  most to take · lease in seconds · tries
-- RETURNS  per callback: id, try, url, success, says, said
--- include clock
local callbacks, stem = KEYS[1], KEYS[2]
local lease, tries = tonumber(ARGV[2]), tonumber(ARGV[3])
local now = clock()
local reply = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', callbacks, '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local kept = redis.call('HMGET', stem .. id, 'url', 'success', 'says', 'said', 'tries')
  if kept[1] and tonumber(kept[5]) < tries then
    redis.call('HINCRBY', stem .. id, 'tries', 1)
    redis.call('ZADD', callbacks, now + lease, id)
    for _, value in ipairs({id, kept[5] + 1, kept[1], kept[2], kept[3], kept[4]}) do
      reply[#reply + 1] = value
    end
  else
    redis.call('DEL', stem .. id)
    redis.call('ZREM', callbacks, id)
  end
end
return reply
