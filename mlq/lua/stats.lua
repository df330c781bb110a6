-- All that monitoring asks of a namespace, as of one moment, but for lanes, which take several calls where there are very
-- many. Takes time for lanes and workers, not for jobs: of those that run it looks at `most`.
-- KEYS  lanes set · lane stem · posts stem · leases zset · scheduled zset · dead zset · deliveries stem · workers zset
--       · worker stem · metrics hash
-- ARGV  most running jobs to look at · cursor ('0' to begin) · lanes of one call
-- RETURNS  {next cursor ('0' at the end), {lane, waiting, when its first job was posted or '', ...}} · at the end also
--          {now, running, scheduled, dead, callbacks, webhooks}, {queue, how many of the jobs looked at run for it, ...}, {slots, busy, queues of a worker, ...}, {field, count, ...}}
--- include clock
--- include head
--- include fields
local lanes, lane_stem, posts, leases, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local dead, deliveries, workers, worker_stem, metrics = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local now = clock()

local page = redis.call('SSCAN', lanes, ARGV[2], 'COUNT', ARGV[3])
local waiting = {}
for _, lane in ipairs(page[2]) do
  local first = redis.pcall('ZRANGE', lane_stem .. lane, 0, 0)
  if not first.err then -- a key of another type is no lane
    waiting[#waiting + 1], waiting[#waiting + 2] = lane, redis.call('ZCARD', lane_stem .. lane)
    waiting[#waiting + 1] = first[1] and stamp_in(read_head(posts .. first[1])) or ''
  end
end

if page[1] ~= '0' then
  return {page[1], waiting}
end

local running, found = {}, {}
for _, lease in ipairs(redis.call('ZRANGE', leases, 0, ARGV[1] - 1)) do
  local queue = string.match(read_head(posts .. string.match(lease, '^[^:]*')), '^[^\n:]+') or '(other)'
  found[queue] = (found[queue] or 0) + 1
end
for queue, number in pairs(found) do
  running[#running + 1], running[#running + 2] = queue, number
end

local living = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', workers, now, '+inf')) do
  local about = read_fields(worker_stem .. name, 'slots', 'busy', 'queues')
  living[#living + 1], living[#living + 2] = about[1] or '0', about[2] or '0'
  living[#living + 1] = about[3] or ''
end

local sizes = {now}
for _, key in ipairs({leases, scheduled, dead, deliveries .. 'callback', deliveries .. 'webhook'}) do
  sizes[#sizes + 1] = redis.call('ZCARD', key)
end
return {page[1], waiting, sizes, running, living, redis.call('HGETALL', metrics)}
