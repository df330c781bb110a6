-- The lanes with the same gates are a group. In the index of a class, one entry stands for all of them that it serves: `:` and
-- the names of the gates, at the place of the first of these lanes, which have an index of their own, `<index><group>`. The
-- entry is there while all gates are open. Else it is parked: the class and the group stand in `parked:<gate>` until
-- that opens. So opening and closing cost the same with any number of lanes.
--- include gate_lanes
--- include gate_times
--- include wake

local KEPT = 100 -- seconds; as a class's index

-- Puts the entry of a group into the index of a class, or takes it out; returns whether the class has work there.
local function refresh(class, group)
  local ready, own = class .. ':ready', class .. ':ready' .. group.name
  local first = redis.pcall('ZRANGE', own, 0, 0, 'WITHSCORES')[2]
  local gate = first and closed_one(group.gates)
  if first and not gate then
    change_index(ready, 'ZADD', ready, first, group.name)
    return true
  end
  change_index(ready, 'ZREM', ready, group.name)
  if gate then
    add_to('SADD', root .. 'parked:' .. gate.name, string.match(class, '([^:]*)$') .. group.name)
    watch_gate(gate)
  end
  return false
end

-- Changes the place of a lane in the indexes of these classes for its group, or removes it; returns those that have work there.
local function tell_group(classes, found, group, lane, place)
  local open = {}
  for _, name in ipairs(found) do
    local class = classes .. name
    local own = class .. ':ready' .. group.name
    if place then
      local is_new = redis.pcall('ZADD', own, place, lane)
      if type(is_new) ~= 'number' then -- of another type: a worker makes the whole index anew
        redis.call('DEL', own, class .. ':ready')
      elseif is_new == 1 then -- else the key is not new either
        redis.call('EXPIRE', own, KEPT)
        add_to('SADD', class .. ':groups', group.name)
        redis.call('EXPIRE', class .. ':groups', KEPT)
      end
    else
      change_index(own, 'ZREM', own, lane)
    end
    if refresh(class, group) then open[#open + 1] = class end
  end
  group.told = true
  return open
end
