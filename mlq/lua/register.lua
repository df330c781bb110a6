-- Makes a class of workers known, or says that it still is, one step of many: each looks at some of the lanes with work.
-- Guarantee: from the first step on, whatever changes the first job of a lane tells the class; after the last step, its
-- index names every lane with work that it serves. Several workers may take steps of one class at once. What was lost of
-- a class is made again, and classes that nobody registers any more are dropped.
-- KEYS  lanes set · lane stem · serves stem · class stem · classes zset
-- ARGV  class · seconds that its index is kept; half of that, and whoever registers drops a class · lanes of one step · then every name of what it serves
-- RETURNS  1 after the last step, else 0
--- include clock
--- include make_way
local lanes, lane_stem, serves, class_stem, classes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local class, now = class_stem .. ARGV[1], clock()
local ready, seconds = class .. ':ready', tonumber(ARGV[2])
local half = math.ceil(seconds / 2) -- what leads to an index lapses before it: else a post would make it anew, for ever

redis.call('ZADD', classes, now + half, ARGV[1])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', classes, '-inf', now, 'LIMIT', 0, 100)) do
  local stem = class_stem .. name
  for _, what in ipairs(redis.pcall('SMEMBERS', stem .. ':serves')) do
    redis.pcall('SREM', serves .. what, name)
  end
  redis.call('UNLINK', stem .. ':serves', stem .. ':ready', stem .. ':wake', stem .. ':cursor')
  redis.call('ZREM', classes, name)
end

make_way(ready, 'zset')
make_way(class .. ':serves', 'set')
make_way(class .. ':wake', 'list')
local served, news = {}, not redis.call('ZSCORE', ready, '')
local goes_on = not news and redis.call('EXISTS', class .. ':cursor') == 1
for i = 4, #ARGV do
  served[ARGV[i]] = true
  if not goes_on then
    make_way(serves .. ARGV[i], 'set')
    news = redis.call('SADD', serves .. ARGV[i], ARGV[1]) == 1 or news
    redis.call('SADD', class .. ':serves', ARGV[i])
    redis.call('EXPIRE', serves .. ARGV[i], half)
  end
end
if news then
  redis.call('UNLINK', ready, class .. ':cursor')
  redis.call('ZADD', ready, 'inf', '', 'inf', ':') -- behind all lanes: the class is known; its index is not complete
end
for _, name in ipairs({classes, class .. ':serves', ready}) do
  redis.call('EXPIRE', name, seconds)
end
if not redis.call('ZSCORE', ready, ':') then
  return 1
end

local function is_served(lane)
  local queue, functions = string.match(lane, '^([^:]*):?(.*)$')
  for name in string.gmatch(functions, '[^,]+') do
    if not served[':' .. name] then
      return false
    end
  end
  return served[queue .. (functions ~= '' and ':' or '')]
end

local page = redis.call('SSCAN', lanes, redis.call('GET', class .. ':cursor') or '0', 'COUNT', ARGV[3])
for _, lane in ipairs(page[2]) do
  local first = is_served(lane) and redis.pcall('ZRANGE', lane_stem .. lane, 0, 0, 'WITHSCORES')
  if first and first[2] then
    redis.call('ZADD', ready, first[2], lane)
  elseif first then
    redis.call('SREM', lanes, lane) -- it was removed by force, or is of another type
  end
end
if page[1] ~= '0' then
  redis.call('SET', class .. ':cursor', page[1], 'EX', 60)
  return 0
end
redis.call('ZREM', ready, ':')
redis.call('DEL', class .. ':cursor')
return 1
