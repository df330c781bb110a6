-- Changes which gates there are. Include this in a block where `gating` is there, and read gates anew after a change.

--- include regroup
--- include clock

-- Call this when a gate was changed, or may have been; `existed`: what it was before, if it was one.
local function gate_changed(name, existed)
  local root, exists = string.sub(gates, 1, -6), gating.read(name)
  if not exists or not exists.most then redis.call('UNLINK', root .. 'running:' .. name) end
  if not exists or not exists.starts then redis.call('UNLINK', root .. 'starts:' .. name) end
  if redis.call('EXISTS', root .. 'limits', root .. 'paused') == 0 then
    redis.call('DEL', gates, root .. 'opening', root .. 'parked:' .. name)
    regroup(gates, classes)
  elseif not existed ~= not exists then
    redis.call('SET', gates, clock())
    redis.call('UNLINK', root .. 'parked:' .. name)
    regroup(gates, classes)
  else
    gating.open_gate(name)
  end
end
