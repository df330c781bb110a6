-- What gates let begin now.
-- Guarantee: changes nothing.
-- KEYS  gates string · class prefix · jobs prefix
-- ARGV  the name of a gate · then every further name
-- RETURNS  for each: {jobs that hold places or -1, starts in the time of its rate or -1, microseconds until its rate lets a job begin
--          or -1, 1 if jobs are kept back by it, else 0}
--- include wake
--- include clock
local gates, classes, jobs = KEYS[1], KEYS[2], KEYS[3]
local reply = {}
if redis.call('EXISTS', gates) == 1 then
--- include gating
  for i, name in ipairs(ARGV) do
    local gate = gating.read(name) or {}
    local is_closed, opens = gating.room_at(gate) <= 0, nil
    if is_closed then opens = gating.opens_at(gate) end
    reply[i] = {
      gate.free and gate.most - gate.free or -1,
      gate.left and gate.starts - gate.left or -1,
      opens and opens < 1e11 and math.floor((opens - clock()) * 1e6) or -1,
      redis.call('EXISTS', string.sub(gates, 1, -6) .. 'parked:' .. name),
    }
  end
end
return reply
