-- Counts the jobs that wait in each lane (in several calls if there are many lanes), that are scheduled, that run,
-- that wait for other jobs, and that are dead letters.
-- KEYS  lanes set · lane prefix · leases zset · dead zset · scheduled zset · blocked zset
-- ARGV  cursor ('0' to begin) · lanes of one call
-- RETURNS  {next cursor ('0' at the end), running, dead, scheduled, blocked, lane, waiting, lane, waiting, ...}
local lanes, lane_prefix, leases, dead, scheduled, blocked = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local page = redis.pcall('SSCAN', lanes, ARGV[1], 'COUNT', ARGV[2])
if page.err then -- a key of another type names no lanes; posts replace it
  page = {'0', {}}
end
local reply = {page[1]}
for _, key in ipairs({leases, dead, scheduled, blocked}) do
  reply[#reply + 1] = redis.call('ZCARD', key)
end
for _, lane in ipairs(page[2]) do
  local waiting = redis.pcall('ZCARD', lane_prefix .. lane)
  if type(waiting) == 'number' then -- a key of another type is not a lane
    reply[#reply + 1], reply[#reply + 2] = lane, waiting
  end
end
return reply
