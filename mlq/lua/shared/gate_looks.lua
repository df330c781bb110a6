-- What is done for gates that are closed, when their time has come. Include this in a block where `gating` is there.
--- include head
--- include fields
--- include delete_if_wrong_type

-- Notes places of jobs that ran before their gate had a limit, a page at a time: `from` in the stored limit says where to go on, and
-- the gate is closed until that is done.
local function count_running(name)
  local limits = string.sub(gates, 1, -6) .. 'limits'
  local ok, limit = pcall(cmsgpack.unpack, redis.call('HGET', limits, name) or '')
  if not ok or type(limit) ~= 'table' or not limit.from then return end
  local page = redis.pcall('ZSCAN', leases, limit.from, 'COUNT', 500)
  local found, key = page.err and {} or page[2], string.sub(gates, 1, -6) .. 'running:' .. name
  for i = 1, #found, 2 do
    local id = string.match(found[i], '^[^:]*')
    for _, gate in ipairs(gating.gates_of(lane_of(posts, id) or '')) do
      local held = gate.name == name and read_fields(jobs .. id, 'state', 'gates')
      if held and held[1] == 'running' then
        redis.call('SADD', key, found[i])
        redis.call('HSET', jobs .. id, 'gates', held[2] and held[2] .. ',' .. name or name)
      end
    end
  end
  limit.from = not page.err and page[1] ~= '0' and page[1] or nil
  redis.call('HSET', limits, name, cmsgpack.pack(limit))
end

-- Frees places of attempts whose leases are gone: data were lost, or somebody else deleted them.
local function verify_places(name)
  local key = string.sub(gates, 1, -6) .. 'running:' .. name
  local held = redis.pcall('SRANDMEMBER', key, 100)
  for _, lease in ipairs(held) do
    if not redis.call('ZSCORE', leases, lease) then redis.call('SREM', key, lease) end
  end
end

-- Opens the gates whose time has come, `most` of each kind.
local function look_at_gates(now, most)
  local opening = string.sub(gates, 1, -6) .. 'opening'
  delete_if_wrong_type(opening, 'zset')
  local due = redis.call('ZRANGEBYSCORE', opening, '-inf', now, 'LIMIT', 0, most)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', opening, 1e11, 1e11 + now, 'LIMIT', 0, most)) do
    due[#due + 1] = name
    verify_places(name)
  end
  for _, name in ipairs(due) do
    redis.call('ZREM', opening, name)
    count_running(name)
    gating.read(name)
    gating.open_gate(name)
  end
end
