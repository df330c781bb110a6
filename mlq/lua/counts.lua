-- How many jobs wait in each lane and for their retry, how many run, and how many are dead letters.
-- KEYS  lanes set · lane stem · leases zset · dead zset · scheduled zset
-- RETURNS  {running, dead, scheduled, lane, waiting, lane, waiting, ...}
local lanes, lane_stem, leases, dead, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local reply = {redis.call('ZCARD', leases), redis.call('ZCARD', dead), redis.call('ZCARD', scheduled)}
for _, lane in ipairs(redis.call('SMEMBERS', lanes)) do
  reply[#reply + 1], reply[#reply + 2] = lane, redis.call('ZCARD', lane_stem .. lane)
end
return reply
