-- Counts the jobs that wait in a queue whose length is limited, page by page, and notes how many more it takes (shared/room.lua).
-- Guarantee: no more room is noted than there is; jobs that are posted while it counts may be counted twice. The same call sent
-- again does no more.
-- KEYS  lanes set · lane prefix · limits hash · room string
-- ARGV  queue · cursor ('0' to begin) · jobs that were counted so far · jobs that had ever been posted when the count began, or ''
--       · lanes of one call
-- RETURNS  {next cursor ('0' at the end), jobs, posted when the count began, the limit or 0}
--- include clock
--- include fields
local lanes, lane_prefix, limits, room = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local queue, jobs = ARGV[1], tonumber(ARGV[3])
local known = redis.pcall('GET', room)
local posted = tonumber(string.match(type(known) == 'string' and known or '', '^%d+ %d+ (%d+) ') or 0)
local began = tonumber(ARGV[4]) or posted

local page = redis.pcall('SSCAN', lanes, ARGV[2], 'COUNT', ARGV[5])
if page.err then page = {'0', {}} end -- a key of another type names no lanes
for _, lane in ipairs(page[2]) do
  if string.match(lane, '^[^:|]*') == queue then
    jobs = jobs + (tonumber(redis.pcall('ZCARD', lane_prefix .. lane)) or 0)
  end
end
local ok, limit = pcall(cmsgpack.unpack, read_fields(limits, 'queue:' .. queue)[1] or '')
local most = ok and type(limit) == 'table' and type(limit.length) == 'number' and limit.length
if page[1] == '0' and most then
  local since = posted >= began and posted - began or posted -- the key may have been gone meanwhile
  redis.call('SET', room, string.format('%d %d %d %s', most, math.max(0, most - jobs - since), posted, clock()), 'EX', 60)
end
return {page[1], jobs, began, most or 0}
