-- Affinity: which lanes a claim passes over, since their jobs are for others first (reserved.lua).
--- include reserved
--- include inbox
--- include wake
--- include holding

local PASSED = 32 -- lanes that one claim passes over; it takes the jobs of others as they come
local lacking, again = {}, nil -- models that this worker does not hold, by lane; seconds until a job is for anybody

-- Whether to pass a lane over.
local function is_for_others(lane)
  local models = models_of(lane)
  if not models or holds(worker, models) then return false end
  lacking[lane] = models
  local seconds = reserved_for(lane)
  if not seconds or not has_holders(models) then return false end
  again = math.min(again or seconds, seconds)
  return true
end

-- Whether what is left in these lanes is for workers that hold its models, which are woken.
local function are_for_holders(lanes)
  for i, lane in ipairs(lanes) do
    local models = i <= PASSED / 4 and models_of(lane.name)
    if not models or not reserved_for(lane.name) then return false end
    if not has_holders(models) and #lane.taken == 0 and not holds(worker, models) then return false end
  end
  return true
end

-- An index without the lanes that this claim passes over: `count` others at least, if there are so many.
local function without_others(class, ready, count)
  local kept, passed, read = {}, 0, 0
  while true do
    for i = 1, #ready, 2 do
      if ready[i + 1] ~= 'inf' and passed < PASSED and is_for_others(ready[i]) then
        passed = passed + 1
      else
        kept[#kept + 1], kept[#kept + 2] = ready[i], ready[i + 1]
      end
    end
    read = read + (ready.entries or #ready / 2)
    if #kept > 2 * count or #ready == 0 or kept[#kept] == 'inf' then return kept end
    ready = redis.call('ZRANGE', class .. ':ready', read, read + math.max(count, PASSED), 'WITHSCORES')
    if gating then ready = gating.spread(class, ready, count + PASSED) end
  end
end

-- Notes that this worker holds the models of a lane, if it has taken jobs of it.
local function note_taken(lane)
  for _, model in ipairs(#lane.taken > 0 and lacking[lane.name] or {}) do
    note_holder(holders .. model, worker, now)
  end
end

-- Wakes workers for the jobs that a claim has left in the lanes `left` and in others (`unread`), and passed over.
local function wake_others(class, left, unread)
  if unread or left[1] and not (wait > 0 and are_for_holders(left)) then wake(class) end
  for who in pairs(woken) do send(inboxes .. who, 'wake') end
end
