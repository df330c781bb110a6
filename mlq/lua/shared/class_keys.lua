-- What belongs to classes of workers.

-- The indexes of a class for groups of lanes (gate_index.lua), and the set of these.
local function groups_of(class)
  local found = {}
  for i, group in ipairs(redis.pcall('SMEMBERS', class .. ':groups')) do found[i] = class .. ':ready' .. group end
  found[#found + 1] = class .. ':groups'
  return found
end

local function drop_index(class)
  redis.call('UNLINK', class .. ':ready', class .. ':cursor', class .. ':gates', unpack(groups_of(class)))
end

-- Whether a class that serves all that is in `served` serves a lane.
local function is_served(served, lane)
  if string.sub(lane, 1, 1) == '#' then return served[string.match(lane, '^[^|]*')] end -- as in tell_classes
  local queue, functions = string.match(lane, '^([^:|]*):?([^|]*)')
  for name in string.gmatch(functions, '[^,]+') do
    if not served[':' .. name] then return false end
  end
  return served[queue .. (functions ~= '' and ':' or '')]
end

-- Drops classes that nobody has registered lately.
local function drop_lapsed(registered, serves, classes, now)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', registered, '-inf', now, 'LIMIT', 0, 100)) do
    local class = classes .. name
    for _, what in ipairs(redis.pcall('SMEMBERS', class .. ':serves')) do
      redis.pcall('SREM', serves .. what, name)
    end
    drop_index(class)
    redis.call('UNLINK', class .. ':serves', class .. ':wake')
    redis.call('ZREM', registered, name)
  end
end
