-- Reads the lanes of groups for a claim (gate_claims.lua): as few of them as it needs.
--- include gating

local read_groups = {} -- the groups of which lanes were read

-- Reads on in the lanes of a group: `some` of them, but no more than its gates have room for, and one. `found.last` has the place of the
-- last one; `found.ends` says whether there is no more to read, and `found.is_whole` whether these are all.
local function read_on(found, some)
  local from, limit = #found / 2, found.most + 1
  local to = math.min(from + some, limit)
  local page = redis.pcall('ZRANGE', found.index, from, to - 1, 'WITHSCORES')
  if page.err then page = {} end
  for _, one in ipairs(page) do found[#found + 1] = one end
  found.last = tonumber(found[#found])
  found.is_whole = #page < 2 * (to - from)
  found.ends = found.is_whole or to == limit
end

-- The first lanes of a group that a claim may take from, `some` of them; nil if there are none.
local function lanes_of(class, name, most, some)
  local group = gating.group_named(name)
  for _, gate in ipairs(group.gates) do most = math.min(most, gating.room_at(gate)) end
  local found = {group = group, most = most, index = class .. ':ready' .. name}
  if most > 0 then read_on(found, some) end
  if not found[1] then
    gating.refresh(class, group)
    return nil
  end
  group.told, read_groups[group] = false, true
  return found
end

-- The place of lane number `most` among those that were read of these groups.
local function place_of_lane(groups, most)
  local places = {}
  for _, found in ipairs(groups) do
    for i = 2, #found, 2 do places[#places + 1] = tonumber(found[i]) end
  end
  table.sort(places)
  return places[most] or math.huge
end

-- Reads on in the groups that may have more lanes before the place `last`; returns whether there are any.
local function read_before(groups, last)
  local goes_on = false
  for _, found in ipairs(groups) do
    if not found.ends and found.last < last then
      read_on(found, #found)
      goes_on = true
    end
  end
  return goes_on
end

-- Reads of these groups as many lanes as are among the first `most` of all. Returns the place of the last one.
local function read_first(groups, most)
  local last
  repeat last = place_of_lane(groups, most) until not read_before(groups, last)
  return last
end
