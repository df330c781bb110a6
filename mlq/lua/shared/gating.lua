-- What scripts do with gates, as the table `gating`: declared in wake.lua, and nil where no gate exists. Include this only in a
-- block for namespaces that have gates, after everything that the rest of the script needs itself.
--- include gates
--- include gate_lanes
--- include gate_times
--- include gate_index
--- include gate_places

gating = {
  closed_one = closed_one,
  counting = counting,
  free_places = free_places,
  gates_of = gates_of,
  group_named = group_named,
  group_of = function(lane) return group_with(gates_of(lane)) end,
  is_claim = function() is_claim = true end,
  limit_in = limit_in,
  open_gate = open_gate,
  opens_at = opens_at,
  refresh = refresh,
  room_at = room_at,
  soonest = function() return soonest end,
  take_places = take_places,
  tell = tell_group,
}

-- The gate of a share; nil if there is none.
function gating.of_share(share) return gates_named({'share:' .. share})[1] end

-- Has a share of a lane (`ring`, ring.lua) wait until its gate opens.
function gating.park(ring, share, gate)
  add_to('SADD', root .. 'parked:' .. gate.name, ring .. share)
  watch_gate(gate)
end

-- The gate of this name as it is stored now; false if it has neither a limit nor a pause.
function gating.read(name)
  known[name], of_lane, groups = nil, {}, {}
  know({name})
  return known[name]
end
