-- Which gates a lane has.
--- include gates
--- include fields

local of_lane, groups = {}, {}

-- The gates of these names that exist.
local function gates_named(names)
  know(names)
  local found = {}
  for _, name in ipairs(names) do
    if known[name] then found[#found + 1] = known[name] end
  end
  return found
end

-- The gates of a lane, in the order of their names: of its queue, its functions, what these use, and its share.
local function gates_of(lane)
  if of_lane[lane] then return of_lane[lane] end
  local queue, functions = string.match(lane, '^([^:|]*):?([^|]*)')
  local names, asked = {['queue:' .. queue] = true}, {functions == '' and queue or nil}
  for name in string.gmatch(functions, '[^,]+') do
    names['function:' .. name], asked[#asked + 1] = true, ':' .. name
  end
  for _, used in ipairs(read_fields(root .. 'uses', unpack(asked))) do
    for name in string.gmatch(used or '', '[^,]+') do names[name] = true end
  end
  local share = string.match(lane, '|(.+)$')
  if share then names['share:' .. share] = true end
  local sorted = {}
  for name in pairs(names) do sorted[#sorted + 1] = name end
  table.sort(sorted)
  of_lane[lane] = gates_named(sorted)
  return of_lane[lane]
end

-- The group of lanes with these gates; nil if there are none.
local function group_with(its)
  local names = {}
  for i, gate in ipairs(its) do names[i] = gate.name end
  local name = ':' .. table.concat(names, ',')
  groups[name] = groups[name] or its[1] and {name = name, gates = its} or nil
  return groups[name]
end

local function group_named(name)
  if not groups[name] then
    local names = {}
    for one in string.gmatch(string.sub(name, 2), '[^,]+') do names[#names + 1] = one end
    groups[name] = {name = name, gates = gates_named(names)}
  end
  return groups[name]
end
