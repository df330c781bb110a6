-- Finds out whether a job that is about to wait for another one would wait for itself. Uses the locals `jobs` and `posts`.
--- include fields
--- include options
--- include whole

local MOST_LOOKS, MOST_NAMES = 1000, 20000 -- a job may come after a thousand others: reading all names could take seconds

-- Job `id`, and those that can't end before it because it is a step that runs for them: joins, and those that get its outcome.
local function above(id)
  local found, look = {}, 0
  repeat
    found[id] = true
    local part = part_of(options_of(id))
    id, look = part.tail or part.into, look + 1
  until not id or found[id] or look == MOST_LOOKS or read_fields(jobs .. id, 'state')[1] ~= 'blocked'
  return found
end

-- Adds the jobs that job `one` waits for to the list `found`, each once, as long as there is room.
local function add_needed(found, one)
  if #found == MOST_LOOKS or found.names > MOST_NAMES then return end
  local own = read_fields(jobs .. one, 'waits_for', 'state', 'tail', 'parts')
  local function add(id)
    found.names = found.names + 1
    if not found[id] and #found < MOST_LOOKS then found[#found + 1], found[id] = id, true end
  end
  if own[1] then add(own[1]) end
  if own[2] ~= 'blocked' then return end
  if own[3] then return add(own[3]) end
  for _, id in ipairs(needed_by(options_of(one))) do add(id) end
  for first, last in string.gmatch(own[4] or '', '(%d+)-(%d+)') do
    if #found == MOST_LOOKS then return end
    if is_id(first) and is_id(last) then
      for number = first, math.min(last, first + MOST_LOOKS - #found) do add(string.format('%d', number)) end
    end
  end
end

-- Whether job `id` waits for job `waiting`, by itself or through others. A circle in which no part of a split waits for another job
-- is found from above, however large the split is. The others are found if that takes no more than 1,000 looks at
-- jobs, and 20,000 names in what these come after.
local function waits_already(id, waiting)
  local goals, found, at = above(waiting), {id, names = 0}, 1
  found[id] = true
  while found[at] do
    if goals[found[at]] then return true end
    add_needed(found, found[at])
    at = at + 1
  end
  return false
end
