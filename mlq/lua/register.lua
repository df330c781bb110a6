-- Registers a class of workers, or renews its registration, in several steps: each step looks at some lanes with work.
-- Guarantee: from the first step on, every change of a lane's first job updates the index of the class; after the last
-- step, the index has every lane with work that the class serves. Several workers may take steps for one class at the same
-- time. Parts of a class that were lost are created again, and classes that nobody renews are dropped.
-- KEYS  lanes set · lane prefix · serves prefix · class prefix · classes zset
-- ARGV  class · seconds that its index is kept; the class itself is dropped after half of that unless renewed
--       · lanes per step · then every name of what it serves
-- RETURNS  1 after the last step, else 0
--- include clock
--- include delete_if_wrong_type
local lanes, lane_prefix, serves, class_prefix, classes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local class, now = class_prefix .. ARGV[1], clock()
local ready, seconds = class .. ':ready', tonumber(ARGV[2])
local half = math.ceil(seconds / 2) -- references to an index expire before it, or posts would create it again, forever

redis.call('ZADD', classes, now + half, ARGV[1])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', classes, '-inf', now, 'LIMIT', 0, 100)) do
  local prefix = class_prefix .. name
  for _, what in ipairs(redis.pcall('SMEMBERS', prefix .. ':serves')) do
    redis.pcall('SREM', serves .. what, name)
  end
  redis.call('UNLINK', prefix .. ':serves', prefix .. ':ready', prefix .. ':wake', prefix .. ':cursor')
  redis.call('ZREM', classes, name)
end

delete_if_wrong_type(ready, 'zset')
delete_if_wrong_type(class .. ':serves', 'set')
delete_if_wrong_type(class .. ':wake', 'list')
local served, news = {}, not redis.call('ZSCORE', ready, '')
local goes_on = not news and redis.call('EXISTS', class .. ':cursor') == 1
for i = 4, #ARGV do
  served[ARGV[i]] = true
  if not goes_on then
    delete_if_wrong_type(serves .. ARGV[i], 'set')
    news = redis.call('SADD', serves .. ARGV[i], ARGV[1]) == 1 or news
    redis.call('SADD', class .. ':serves', ARGV[i])
    redis.call('EXPIRE', serves .. ARGV[i], half)
  end
end
if news then
  redis.call('UNLINK', ready, class .. ':cursor')
  -- markers behind all lanes: '' says that the class is registered, ':' that its index is incomplete
  redis.call('ZADD', ready, 'inf', '', 'inf', ':')
end
for _, name in ipairs({classes, class .. ':serves', ready}) do
  redis.call('EXPIRE', name, seconds)
end
if not redis.call('ZSCORE', ready, ':') then
  return 1
end

local function is_served(lane)
  if string.sub(lane, 1, 1) == '#' then return served[lane] end -- as in tell_classes
  local queue, functions = string.match(lane, '^([^:]*):?(.*)$')
  for name in string.gmatch(functions, '[^,]+') do
    if not served[':' .. name] then return false end
  end
  return served[queue .. (functions ~= '' and ':' or '')]
end

local page = redis.pcall('SSCAN', lanes, redis.call('GET', class .. ':cursor') or '0', 'COUNT', ARGV[3])
if page.err then -- a key of another type names no lanes; posts replace it
  page = {'0', {}}
end
for _, lane in ipairs(page[2]) do
  local first = is_served(lane) and redis.pcall('ZRANGE', lane_prefix .. lane, 0, 0, 'WITHSCORES')
  if first and first[2] then
    redis.call('ZADD', ready, first[2], lane)
  elseif first then
    redis.call('SREM', lanes, lane) -- somebody deleted the lane's key, or it is of another type
  end
end
if page[1] ~= '0' then
  redis.call('SET', class .. ':cursor', page[1], 'EX', 60)
  return 0
end
redis.call('ZREM', ready, ':')
redis.call('DEL', class .. ':cursor')
return 1
