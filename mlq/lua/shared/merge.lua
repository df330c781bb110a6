-- Merges the jobs of several lanes by place, reading few more of them than are wanted.
-- `ready` lists lanes and the places of their first jobs, in order; wrong places are noticed. `count` is the number of slots:
-- each job takes one, but those of a lane for which `batch_of(sizes, lane)` is not 0 are taken in batches of so many, each of
-- which takes one slot. Each also takes room of the listeners in `limits_of(sizes, lane)`; where that is used up, jobs are left.
-- `take(id, batch)` returns whether to take that job and go on; `batch` is the number of its batch, or 0. Returns the lanes that
-- were read, each with its `name`, the ids `taken`, and the `place` of its first remaining job or nil; those of `ready` in which
-- jobs are left; whether there are others; and whether a listener has no room left while jobs of others may be left.
--- include wake
local function merge(ready, lane_prefix, count, sizes, batch_of, limits_of, take)
  local heads, touched = {}, {}
  for i = 1, #ready, 2 do
    if ready[i + 1] == 'inf' then break end -- a marker, not a lane
    heads[#heads + 1] = {name = ready[i], place = tonumber(ready[i + 1]), taken = {},
      most = batch_of(sizes, ready[i]), room = 0, limited = limits_of(sizes, ready[i]), group = gating and gating.group_read(ready[i])}
  end
  local some = math.ceil(count / #heads) + 1 -- jobs to read from a lane at a time
  local function step(lane) -- to the lane's next job
    local some = math.max(some, lane.most)
    if not lane.jobs then touched[#touched + 1] = lane end
    if not lane.jobs and string.byte(lane.name, -1) == 124 then -- '|': its jobs have shares
--- include ring_jobs
      read_ring(lane)
    end
    if lane.step then return lane.step(some) end
    lane.at = lane.jobs and lane.at + 2
    if not lane.jobs or (lane.at > #lane.jobs and not lane.ends) then
      local jobs = redis.pcall('ZRANGE', lane_prefix .. lane.name, #lane.taken, #lane.taken + some - 1, 'WITHSCORES')
      lane.jobs, lane.at = jobs.err and {} or jobs, 1 -- a key of another type holds no jobs
      lane.ends = #lane.jobs < 2 * some
    end
    lane.place = tonumber(lane.jobs[lane.at + 1])
  end
  local taken, batches, full, rooms, closed = 0, 0, false, sizes and sizes[',rooms'], false
  local function use(lane, amount) -- takes room of its listeners, and returns whether there is any left
    local least = 1
    for _, name in ipairs(lane.limited or {}) do
      rooms[name] = rooms[name] - amount
      least = math.min(least, rooms[name])
    end
    return least > 0
  end
  -- The first lane whose next job can be taken: when the slots are, those of batches that have room.
  local function next_lane()
    for i, lane in ipairs(heads) do
      if (taken < count and not full and use(lane, 0)) or lane.room > 0 then return table.remove(heads, i) end
    end
  end

  while true do
    local lane = next_lane()
    if not lane then break end
    local is_closed = lane.group and gating.closed_one(lane.group.gates) -- then it is left, until its gates open
    if not is_closed and lane.jobs and not (lane.is_shut and lane.is_shut()) then
      local opens = lane.room == 0
      local batch = lane.most > 0 and (opens and batches + 1 or lane.batch) or 0
      if take(lane.jobs[lane.at], batch, opens) then
        if opens then
          taken, closed = taken + 1, not use(lane, 1) or closed
        end
        if batch > 0 then
          batches, lane.batch, lane.room = math.max(batches, batch), batch, (opens and lane.most or lane.room) - 1
        end
        lane.taken[#lane.taken + 1] = lane.jobs[lane.at]
        if lane.group then gating.use(lane.group.gates) end
        step(lane)
      else
        full, lane.room = full or opens, 0 -- a batch that takes no more ends; another one may begin
      end
    elseif not is_closed then
      step(lane)
    end
    local i = 1
    while lane.place and heads[i] and heads[i].place < lane.place do i = i + 1 end
    if lane.place and not is_closed then table.insert(heads, i, lane) end
  end
  local unread = ready[#ready] ~= 'inf'
  return touched, heads, unread, closed and (full or unread)
end
