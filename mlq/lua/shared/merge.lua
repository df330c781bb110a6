-- Goes through the jobs of several lanes in one order, reading few more of them than are wanted.
-- `ready` tells the lanes and the places of their first jobs, in order; what it says wrongly is noticed. `take(id)` says
-- whether to go on. Gives the lanes that were looked at, each with its `name`, what was `taken`, and the `place` of what
-- stands first then, or nil; and whether jobs may be left.
local function merge(ready, lane_stem, count, take)
  local heads, touched = {}, {}
  for i = 1, #ready, 2 do
    if ready[i + 1] == 'inf' then break end -- what is no lane
    heads[#heads + 1] = {name = ready[i], place = tonumber(ready[i + 1]), taken = {}}
  end
  local some = math.ceil(count / #heads) + 1 -- jobs of one look at a lane

  local function step(lane) -- to its next job
    if lane.jobs then
      lane.at = lane.at + 2
    else
      touched[#touched + 1] = lane
    end
    if not lane.jobs or (lane.at > #lane.jobs and not lane.ends) then
      local jobs = redis.pcall('ZRANGE', lane_stem .. lane.name, #lane.taken, #lane.taken + some - 1, 'WITHSCORES')
      lane.jobs, lane.at = jobs.err and {} or jobs, 1 -- a key of another type holds no jobs
      lane.ends = #lane.jobs < 2 * some
    end
    lane.place = tonumber(lane.jobs[lane.at + 1])
  end

  local taken = 0
  while heads[1] and taken < count do
    local lane = table.remove(heads, 1)
    if lane.jobs then
      if not take(lane.jobs[lane.at]) then
        table.insert(heads, 1, lane)
        break
      end
      taken = taken + 1
      lane.taken[#lane.taken + 1] = lane.jobs[lane.at]
    end
    step(lane)
    local i = 1
    while lane.place and heads[i] and heads[i].place < lane.place do i = i + 1 end
    if lane.place then table.insert(heads, i, lane) end
  end
  return touched, heads[1] ~= nil or ready[#ready] ~= 'inf'
end
