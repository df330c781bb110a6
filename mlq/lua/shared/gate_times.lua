-- When closed gates may open.
--- include gates

local CHECK = 10 -- seconds after which what holds the places of a full gate is checked
local SOON = 3 -- seconds; see tell_of_time.lua
local soonest, is_claim = nil, false

-- When to look whether a closed gate is open; nil for a pause. Gates that other gates' clocks do not open have 1e11 more.
local function opens_at(gate)
  if gate.paused then return nil end
  if gate.from then return at end
  if gate.free and gate.free <= 0 then return 1e11 + at + CHECK end
  local first = redis.pcall('ZRANGE', root .. 'starts:' .. gate.name, -gate.starts, -gate.starts, 'WITHSCORES')
  return math.min(at + gate.per, (tonumber(first[2]) or at) + gate.per)
end

-- Adds to a set or a sorted set, instead of a key of another type.
local function add_to(command, key, ...)
  local added = redis.pcall(command, key, ...)
  if type(added) ~= 'number' then
    redis.call('DEL', key)
    added = redis.call(command, key, ...)
  end
  return added
end

-- Has workers look whether a closed gate is open when it may be; three at once, if that is before all of them look anyway.
local function watch_gate(gate)
  local time = opens_at(gate)
  if not time then return end
  local is_new = add_to('ZADD', root .. 'opening', 'CH', string.format('%.6f', time), gate.name)
  if time >= 1e11 then return end
  soonest = math.min(soonest or time, time)
  -- they are told of each time once; and a claim tells its worker
  if is_new == 0 or time - at >= SOON or is_claim then return end
  for _, name in ipairs(redis.pcall('ZREVRANGE', root .. 'workers', 0, 2)) do
    if (tonumber(redis.pcall('LLEN', root .. 'inbox:' .. name)) or 0) < 100 then
      redis.call('RPUSH', root .. 'inbox:' .. name, string.format('due %.6f', math.max(0, time - at)))
      redis.call('EXPIRE', root .. 'inbox:' .. name, 60)
    end
  end
end
