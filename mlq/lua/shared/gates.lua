-- Gates: what keeps jobs of a lane from beginning. A gate is a queue, a function, a resource or a share (`function:embed`) that
-- has a limit or is paused. Include this where the key `gates` exists, after wake.lua: other namespaces have no gates, and
-- pay nothing for them. Uses the locals `gates`, `classes` and `jobs` of the script.
--- include clock
--- include fields

local root, at = string.sub(gates, 1, -6), tonumber(clock())
local known = {}

local function above_zero(value)
  return type(value) == 'number' and value > 0 and value or nil
end

-- The limit that is stored so; what is damaged limits nothing.
local function limit_in(packed)
  local ok, limit = pcall(cmsgpack.unpack, packed or '')
  limit = ok and type(limit) == 'table' and limit or {}
  local per = above_zero(limit.per)
  return {most = above_zero(limit.running), starts = per and above_zero(limit.starts), per = per, from = limit.from}
end

-- Reads the gates of these names. `known[name]` is false for one that has neither a limit nor a pause.
local function know(names)
  local new = {}
  for _, name in ipairs(names) do
    if known[name] == nil then new[#new + 1] = name end
  end
  if not new[1] then return end
  local limits, paused = read_fields(root .. 'limits', unpack(new)), read_fields(root .. 'paused', unpack(new))
  for i, name in ipairs(new) do
    local gate = limit_in(limits[i])
    gate.name, gate.paused = name, paused[i] and true
    known[name] = (gate.paused or gate.most or gate.starts) and gate or false
  end
end

-- How many jobs more a gate lets begin now.
local function room_at(gate)
  if gate.paused or gate.from then return 0 end -- `from`: those that run are still being counted
  if gate.most and not gate.free then
    gate.free = gate.most - (tonumber(redis.pcall('SCARD', root .. 'running:' .. gate.name)) or 0)
  end
  if gate.starts and not gate.left then
    local key = root .. 'starts:' .. gate.name
    local begun = redis.pcall('ZCOUNT', key, string.format('(%.6f', at - gate.per), string.format('%.6f', at))
    gate.left = gate.starts - (tonumber(begun) or 0)
  end
  return math.min(gate.free or math.huge, gate.left or math.huge)
end

-- The first of some gates that is closed; nil if all are open.
local function closed_one(its)
  for _, gate in ipairs(its) do
    if room_at(gate) <= 0 then return gate end
  end
end
