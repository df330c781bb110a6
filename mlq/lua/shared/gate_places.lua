-- Places at gates: a job that runs holds one at each gate of its lane that has a limit. They are members of sets, not counts, so
-- that taking or freeing one twice changes nothing. The job's hash says in `gates` where it holds places.
--- include gates
--- include gate_index
--- include gate_lanes
--- include gate_times
--- include fields
--- include wake

local OPENED = 100 -- classes and groups that one call lets back into the indexes
local VERIFIED = 100 -- places of a full gate whose leases are checked at a time

-- The names of those gates that have a limit; nil if none has.
local function counting(its)
  local names = {}
  for _, gate in ipairs(its) do
    if gate.most or gate.starts then names[#names + 1] = gate.name end
  end
  return names[1] and table.concat(names, ',')
end

-- Has attempts take their places at gates.
local function take_places(its, taken)
  for _, gate in ipairs(its) do
    if gate.most and taken[1] then
      add_to('SADD', root .. 'running:' .. gate.name, unpack(taken))
    end
    if gate.starts and taken[1] then
      local key, scored = root .. 'starts:' .. gate.name, {}
      for _, lease in ipairs(taken) do
        scored[#scored + 1], scored[#scored + 2] = string.format('%.6f', at), lease
      end
      add_to('ZADD', key, unpack(scored))
      redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.6f', at - gate.per))
      redis.call('ZREMRANGEBYSCORE', key, string.format('(%.6f', at), '+inf') -- the clock was set back
      redis.call('EXPIRE', key, math.ceil(gate.per) + 1)
    end
    gate.free, gate.left = nil, nil
  end
end

-- Lets what a gate has kept back into the indexes again, and wakes workers, if it is open.
local function open_gate(name)
  local gate, key = known[name], root .. 'parked:' .. name
  if gate then gate.free, gate.left = nil, nil end -- they may be other ones now
  if redis.call('EXISTS', key) == 0 then return end
  know({name})
  if known[name] and room_at(known[name]) <= 0 then return watch_gate(known[name]) end
  local kept = redis.pcall('SPOP', key, OPENED)
  if kept.err then redis.call('DEL', key) end
  local is_share = string.sub(name, 1, 6) == 'share:'
  for _, one in ipairs(kept) do
    if is_share then gating.opened(one) end
    local class, group = string.match(one, '^([^:]*)(:.+)$')
    if not is_share and class and refresh(classes .. class, group_named(group)) then wake(classes .. class) end
  end
  if #kept == OPENED then -- the next look goes on
    add_to('ZADD', root .. 'opening', string.format('%.6f', at), name)
  end
end

-- Frees the places of an attempt. `is_unbegun`: its listener was not called, so it does not count as a start either.
local function free_places(id, lease, is_unbegun)
  local names = read_fields(jobs .. id, 'gates')[1]
  if not names then return end
  redis.call('HDEL', jobs .. id, 'gates')
  for name in string.gmatch(names, '[^,]+') do
    redis.pcall('SREM', root .. 'running:' .. name, lease)
    if is_unbegun then redis.pcall('ZREM', root .. 'starts:' .. name, lease) end
    open_gate(name)
  end
end
