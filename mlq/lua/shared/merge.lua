-- Merges the jobs of several lanes by place, reading few more of them than are wanted.
-- `ready` lists lanes and the places of their first jobs, in order; wrong places are noticed. `take(id)` returns whether
-- to take that job and go on. Returns the lanes that were read, each with its `name`, the ids `taken`, and the `place` of
-- its first remaining job or nil; and whether jobs may be left.
local function merge(ready, lane_prefix, count, take)
  local heads, touched = {}, {}
  for i = 1, #ready, 2 do
    if ready[i + 1] == 'inf' then break end -- a marker, not a lane
    heads[#heads + 1] = {name = ready[i], place = tonumber(ready[i + 1]), taken = {}}
  end
  local some = math.ceil(count / #heads) + 1 -- jobs to read from a lane at a time

  local function step(lane) -- to the lane's next job
    if lane.jobs then
      lane.at = lane.at + 2
    else
      touched[#touched + 1] = lane
    end
    if not lane.jobs or (lane.at > #lane.jobs and not lane.ends) then
      local jobs = redis.pcall('ZRANGE', lane_prefix .. lane.name, #lane.taken, #lane.taken + some - 1, 'WITHSCORES')
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
