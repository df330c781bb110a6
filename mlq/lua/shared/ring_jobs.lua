-- Reads the jobs of a ring for merge.lua, and takes them: the next one is of the share with the least virtual time. With each job that
-- is taken, its share is charged what its jobs usually take, so that many jobs can be claimed before the first one ends.
--- include ring
--- include ring_shares

-- Gives `lane` two functions: `lane.step(some)` takes its job, if there is one, and goes on to the next; `lane.close()` takes those
-- out of their lanes. `owes` has what each job is charged.
local function read_ring(lane)
  local ring, visited, share, clock = lane.name, {}, nil, nil
  local next_share, put = shares_in(ring)

  -- Whether the share has a job at the place where reading has come to.
  local function has_job(some)
    if share.at > #share.jobs and not share.ends or share.at < 0 then
      local jobs = redis.pcall('ZRANGE', lane_prefix .. ring .. share.name, #share.taken, #share.taken + some - 1, 'WITHSCORES')
      share.jobs, share.at = jobs.err and {} or jobs, 1
      share.ends = #share.jobs < 2 * some
    end
    return share.jobs[share.at] ~= nil
  end

  -- Whether the gate of the share is closed: perhaps since another lane was read.
  local function closed()
    return share.gate and gating.closed_one({share.gate}) ~= nil
  end
  lane.is_shut = closed

  local function take()
    local id = lane.jobs[1]
    if share.gate then
      gating.use({share.gate})
      lane.share_gates = lane.share_gates or {}
      lane.share_gates[id] = share.gate
    end
    owes[id] = {'charged', string.format('%.6g %.6g', share.owed, share.weight)}
    share.taken[#share.taken + 1] = id
    clock, share.time, share.at = share.time, share.time + share.owed, share.at + 2
    if has_job(2 + #share.taken) and not closed() then put(share) end
  end

  function lane.step(some)
    if share and lane.taken[#lane.taken] == lane.jobs[1] then take() end
    lane.jobs, lane.at, lane.place = {}, 1, nil
    local among
    repeat
      share, among = next_share(some)
      if not share then return end
      if share.at < 0 then
        visited[#visited + 1] = share
        share.gate = gating and gating.of_share(share.name)
      end
    until has_job(math.max(2, math.ceil(some / among))) and not closed()
    lane.jobs, lane.place = {share.jobs[share.at]}, tonumber(share.jobs[share.at + 1])
  end

  function lane.close()
    local times = {}
    for _, one in ipairs(visited) do
      if #one.taken > 0 then
        redis.call('ZREM', lane_prefix .. ring .. one.name, unpack(one.taken))
      end
      local gate = one.gate and gating.closed_one({one.gate})
      if gate or not one.jobs[one.at] then
        leave_ring(ring, one.name, one.time, one.jobs[one.at] and gate)
      elseif #one.taken > 0 then
        times[#times + 1], times[#times + 2] = string.format('%.17g', one.time), one.name
      end
    end
    for i = 1, #times, 1000 do
      redis.call('ZADD', lane_prefix .. ring, unpack(times, i, math.min(i + 999, #times)))
    end
    if clock then redis.pcall('ZADD', lane_prefix .. ring .. '|times', string.format('%.17g', clock), '') end
  end
end
