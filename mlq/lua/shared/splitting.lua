-- Begins a split: its parts become open, up to `at_once` of them, and its join waits for them.
--- include part
--- include lane
--- include wake
--- include head
--- include blocking

local function add_step(root, first, last)
  redis.call('ZADD', jobs .. root .. ':steps', first, first .. '-' .. last)
  redis.call('HINCRBY', jobs .. root, 'steps', last - first + 1)
end

-- The ranges of ids of the join and the parts that an attempt has posted; nil if that is not what the key holds.
local function planned(plan)
  local ranges = redis.pcall('LRANGE', plan, 0, -1)
  for _, range in ipairs(ranges) do
    local first, last = string.match(range, '^(%d+)-(%d+)$')
    if not first or not lane_of(posts, first) or not is_id(last) then return nil end
  end
  return ranges[1] and ranges
end

-- Whether these are all ranges that the attempt has posted: a server that was restarted may have lost some of them.
local function is_whole(ranges, join, of)
  local count = 0
  for i = 2, #ranges do
    local first, last = string.match(ranges[i], '^(%d+)-(%d+)$')
    if not lane_of(posts, last) then return false end
    count = count + last - first + 1
  end
  return not join or ranges[1] == join .. '-' .. join and count == tonumber(of)
end

-- Begins the split of the join and the parts in `ranges`; returns the join's id. At most `at_once` parts are open at a time.
-- `options`: those of each step that are asked here, its root and its priority.
local function begin_split(now, options, ranges, at_once)
  local join, root = string.match(table.remove(ranges, 1), '^(%d+)-'), options.part.root
  local of, open, lane = 0, 0, nil
  add_step(root, join, join)
  for _, range in ipairs(ranges) do
    local first, last = string.match(range, '^(%d+)-(%d+)$')
    add_step(root, first, last)
    lane = lane or lane_of(posts, first)
    of = of + last - first + 1
    local id = first + 0
    while open < at_once and id <= last + 0 do
      local name = string.format('%d', id)
      if string.find(lane, '|', 1, true) then
        line_up(lane_prefix, lanes, serves, classes, lane, name, place_of(name, options))
      else
        add_to_lane(lane_prefix .. lane, name, place_of(name, options))
      end
      open, id = open + 1, id + 1
    end
    if id <= last + 0 then redis.call('RPUSH', jobs .. join .. ':held', string.format('%d-%s', id, last)) end
  end
  redis.call('HSET', jobs .. join, 'needs', of, 'of', of, 'held', of - open, 'at_once', at_once,
    'parts', table.concat(ranges, ','))
  if of == 0 then
    unblock(join, options)
    return join
  end
  block(now, join)
  if string.find(lane, '|', 1, true) then return join end
  add_lane(lanes, lane)
  first_came(serves, classes, lane, redis.call('ZRANGE', lane_prefix .. lane, 0, 0, 'WITHSCORES')[2])
  return join
end
