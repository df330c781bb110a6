-- Everything that monitoring needs about a namespace, in one consistent snapshot, except that very many lanes take several
-- calls. The cost grows with lanes and workers, not with jobs: it looks at a limited number of running jobs.
-- KEYS  lanes set · lane prefix · posts prefix · leases zset · scheduled zset · dead zset · deliveries prefix · workers zset
--       · worker prefix · metrics hash · blocked zset
-- ARGV  most running jobs to look at · cursor ('0' to begin) · lanes of one call
-- RETURNS  {next cursor ('0' at the end), {lane, waiting, when its first job was posted or '', ...}} · at the end also
--          {now, running, scheduled, dead, callbacks, webhooks, blocked}, {queue, how many of the jobs looked at are its own, ...},
--          {slots, busy, queues, memory of models of a worker, ...}, {field, count, ...}}
--- include clock
--- include head
--- include fields
local lanes, lane_prefix, posts, leases, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local dead, deliveries, workers, worker_prefix, metrics = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local blocked = KEYS[11]
local now = clock()

local page = redis.pcall('SSCAN', lanes, ARGV[2], 'COUNT', ARGV[3])
if page.err then -- a key of another type names no lanes; posts replace it
  page = {'0', {}}
end
local waiting = {}
for _, lane in ipairs(page[2]) do
  local first = redis.pcall('ZRANGE', lane_prefix .. lane, 0, 0)
  if not first.err then -- a key of another type is not a lane
    waiting[#waiting + 1], waiting[#waiting + 2] = lane, redis.call('ZCARD', lane_prefix .. lane)
    waiting[#waiting + 1] = first[1] and stamp_in(read_head(posts .. first[1])) or ''
  end
end

if page[1] ~= '0' then
  return {page[1], waiting}
end

local running, found = {}, {}
for _, lease in ipairs(redis.call('ZRANGE', leases, 0, ARGV[1] - 1)) do
  local queue = string.match(read_head(posts .. string.match(lease, '^[^:]*')), '^[^\n:|]+') or '(other)'
  found[queue] = (found[queue] or 0) + 1
end
for queue, number in pairs(found) do
  running[#running + 1], running[#running + 2] = queue, number
end

local living = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', workers, now, '+inf')) do
  local about = read_fields(worker_prefix .. name, 'slots', 'busy', 'queues', 'memory')
  living[#living + 1], living[#living + 2] = about[1] or '0', about[2] or '0'
  living[#living + 1], living[#living + 2] = about[3] or '', about[4] or '0'
end

local sizes = {now}
for _, key in ipairs({leases, scheduled, dead, deliveries .. 'callback', deliveries .. 'webhook', blocked}) do
  sizes[#sizes + 1] = redis.call('ZCARD', key)
end
return {page[1], waiting, sizes, running, living, redis.call('HGETALL', metrics)}
