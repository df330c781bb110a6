-- Puts the jobs that a claim has taken under leases, and writes the reply. Include this where it is used: it has no function.
--- include broken
--- include claim_reply
local held, deadline = {}, string.format('%.6f', now + lease)
local at_gates = gating and gating.take_all(touched, token, ids, records)
for i, id in ipairs(ids) do
  local record = records[i]
  if record then
    local attempt = count_attempt(jobs, id)
    local more = owes[id]
    if at_gates and at_gates[id] then
      more = more or {}
      more[#more + 1], more[#more + 2] = 'gates', at_gates[id]
    end
    if more then
      redis.call('HSET', jobs .. id, 'state', 'running', 'token', token, 'worker', worker, 'started', now, unpack(more))
    else
      redis.call('HSET', jobs .. id, 'state', 'running', 'token', token, 'worker', worker, 'started', now)
    end
    held[#held + 1], held[#held + 2] = deadline, id .. ':' .. token
    reply[#reply + 1], reply[#reply + 2] = id, about_attempt(jobs, id, attempt, batches[i])
    reply[#reply + 1] = record
  else
    bury_broken(posts, jobs, dead, id, now)
  end
end
if #held > 0 then redis.call('ZADD', leases, unpack(held)) end
