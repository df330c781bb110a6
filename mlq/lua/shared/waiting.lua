-- What a queued job waits for, as facts of why.lua. Uses the locals of that.
--- include fields
--- include options
--- include line

-- The join that holds this part of a split back, with its fields.
local function find_join()
  local into = part_of(options_of(id)).into
  if not into then return end
  local join = read_fields(jobs .. into, 'state', 'needs', 'of', 'at_once')
  facts.join = {id = into, state = join[1] or '', needs = join[2] or nil, of = join[3] or nil, at_once = join[4] or nil}
end

-- The living workers that hold the model whose jobs wait here.
local function find_holders()
  local model, found = string.match(lane, '^[^|]*:([^,|]*@[^,|]*)'), {}
  for _, who in ipairs(model and redis.pcall('ZREVRANGE', holders .. model, 0, 9) or {}) do
    if (tonumber(score(living, who) or '') or 0) > now + 0 then found[#found + 1] = who end
  end
  facts.holders = found
end

-- What its queue, functions, resources and share let begin, as far as they have a limit, or are paused (`Closing` in ops/why.py).
local function find_gates()
  if redis.call('EXISTS', gates) == 0 then return end
--- include gate_lanes
--- include gate_times
  facts.gates = {}
  for i, gate in ipairs(gates_of(lane)) do
    local opens, holding = room_at(gate) <= 0 and opens_at(gate), {}
    for _, lease in ipairs(gate.most and redis.pcall('SRANDMEMBER', root .. 'running:' .. gate.name, 10) or {}) do
      holding[#holding + 1] = string.match(lease, '^[^:]*')
    end
    facts.gates[i] = {
      name = gate.name, opens = opens and opens < 1e11 and tostring(opens) or nil, running = gate.free and gate.most - gate.free,
      limit = read_fields(root .. 'limits', gate.name)[1] or nil, pause = read_fields(root .. 'paused', gate.name)[1] or nil,
      jobs = holding}
  end
end

local function find_line(place)
  if string.find(lane, '|', 1, true) then
--- include ring_line
    local line, seconds = line_in_ring(lane, redis.call('ZRANK', lane_prefix .. lane, id))
    local ring, share = string.match(lane, '^([^|]*|)(.*)$')
    facts.line, facts.seconds, facts.turn = line, seconds, tonumber(redis.pcall('ZRANK', lane_prefix .. ring, share)) or nil
    if (facts.turn or 0) > 0 then
      facts.shares = redis.call('ZRANGE', lane_prefix .. ring, 0, math.min(facts.turn, 10) - 1)
      facts.weight = read_fields(lane_prefix .. '||weights', share)[1] or nil
    end
  else
    facts.line = line_before(lane, place)
  end
end

local function find_what_it_waits_for()
  local place = score(lane_prefix .. lane, id)
  if not place then return find_join() end
  facts.waits, facts.since = 1, redis.pcall('GET', jobs .. id .. ':ready')
  find_line(place)
  find_holders()
  find_gates()
end
