-- How the jobs of a claim take places at gates.
--- include gating

-- Has the jobs that were taken take their places. Returns where each holds places, by id. Those without a record are none.
-- `lane.share_gates`: the gates of shares, by the ids of their jobs.
function gating.take_all(touched, token, ids, records)
  local held, is_job, attempts = {}, {}, {}
  for i, id in ipairs(ids) do is_job[id] = records[i] end
  for _, lane in ipairs(touched) do
    for _, id in ipairs((lane.group or lane.share_gates) and lane.taken or {}) do
      local its = {unpack(lane.group and lane.group.gates or {})}
      its[#its + 1] = lane.share_gates and lane.share_gates[id]
      held[id] = is_job[id] and gating.counting(its)
      for _, gate in ipairs(is_job[id] and its or {}) do
        attempts[gate] = attempts[gate] or {}
        table.insert(attempts[gate], id .. ':' .. token)
      end
    end
  end
  for gate, leases in pairs(attempts) do gating.take_places({gate}, leases) end
  return held
end
