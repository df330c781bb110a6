-- Registers a class of workers, or renews its registration, in several steps: each step looks at some lanes with work.
-- Guarantee: from the first step on, every change of a lane's first job updates the index of the class; after the last
-- step, the index has every lane with work that the class serves. Several workers may take steps for one class at the same
-- time. Parts of a class that were lost are created again, and classes that nobody renews are dropped.
-- KEYS  lanes set · lane prefix · serves prefix · class prefix · classes zset · gates string
-- ARGV  class · seconds that its index is kept; the class itself is dropped after half of that unless renewed
--       · lanes per step · then every name of what it serves
-- RETURNS  1 after the last step, else 0
--- include clock
--- include delete_if_wrong_type
--- include wake
--- include class_keys
--- include shares
local lanes, lane_prefix, serves, classes, registered, gates = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local class, now = classes .. ARGV[1], clock()
local ready, seconds = class .. ':ready', tonumber(ARGV[2])
local half = math.ceil(seconds / 2) -- references to an index expire before it, or posts would create it again, forever

redis.call('ZADD', registered, now + half, ARGV[1])
drop_lapsed(registered, serves, classes, now)

delete_if_wrong_type(ready, 'zset')
delete_if_wrong_type(class .. ':serves', 'set')
delete_if_wrong_type(class .. ':wake', 'list')
local made_for = redis.call('MGET', gates, class .. ':gates')
local served, news = {}, made_for[1] ~= made_for[2] or not redis.call('ZSCORE', ready, '')
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
  drop_index(class)
  if made_for[1] then redis.call('SET', class .. ':gates', made_for[1]) end
  -- markers behind all lanes: '' says that the class is registered, ':' that its index is incomplete
  redis.call('ZADD', ready, 'inf', '', 'inf', ':')
end
for _, name in ipairs({registered, class .. ':serves', ready, class .. ':gates', unpack(groups_of(class))}) do
  redis.call('EXPIRE', name, seconds)
end
redis.call('EXPIRE', string.sub(gates, 1, -6) .. 'uses', 86400)
if not redis.call('ZSCORE', ready, ':') then
  return 1
end

if made_for[1] then
--- include gating
end
--- include class_lanes
local page = redis.pcall('SSCAN', lanes, redis.call('GET', class .. ':cursor') or '0', 'COUNT', ARGV[3])
if page.err then -- a key of another type names no lanes; posts replace it
  page = {'0', {}}
end
for _, lane in ipairs(page[2]) do index_lane(lane) end
if page[1] ~= '0' then
  redis.call('SET', class .. ':cursor', page[1], 'EX', 60)
  return 0
end
redis.call('ZREM', ready, ':')
redis.call('DEL', class .. ':cursor')
return 1
