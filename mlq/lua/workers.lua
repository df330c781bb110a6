-- The workers that count as alive.
-- KEYS  workers zset · worker prefix
-- RETURNS  per worker: {name, fields and values}
--- include clock
local workers, prefix = KEYS[1], KEYS[2]
local reply = {}
for i, name in ipairs(redis.call('ZRANGEBYSCORE', workers, clock(), '+inf')) do
  local about = redis.pcall('HGETALL', prefix .. name)
  reply[i] = {name, about.err and {} or about} -- one damaged entry must not hide the others
end
return reply
