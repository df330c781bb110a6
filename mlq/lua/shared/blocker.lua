-- For which jobs a blocked job waits. Gives up after 500 looks at jobs. Uses the locals `posts` and `jobs`.
--- include options
--- include fields
--- include head
--- include ended

-- The state of a job; 'gone' if it has no record.
local function state_of(one)
  return read_fields(jobs .. one, 'state')[1] or lane_of(posts, one) and 'queued' or 'gone'
end

local looks = 500

-- Adds job `one` to those that are `found` and have not ended. Returns whether to look for more.
local function note_open(found, one, most)
  looks = looks - 1
  if not ENDED[state_of(one)] then found[#found + 1] = one end
  return #found < most and looks > 0
end

-- Up to `most` of the parts of a split, in these ranges of ids, that have not ended.
local function open_parts(ranges, most)
  local found = {}
  for first, last in string.gmatch(ranges, '(%d+)-(%d+)') do
    for number = first, last do
      if not note_open(found, string.format('%d', number), most) then return found end
    end
  end
  return found
end

-- Up to `most` of the jobs that blocked job `one` waits for.
local function open_needed(one, most)
  local own, found = read_fields(jobs .. one, 'tail', 'parts'), {}
  if own[1] then return {own[1]} end
  if own[2] then return open_parts(own[2], most) end
  for _, other in ipairs(needed_by(options_of(one))) do
    if not note_open(found, other, most) then break end
  end
  return found
end

-- The first job that blocked job `id` waits for and that waits for no other itself, and its state. If it takes too long to find that
-- one, one that waits for others.
local function first_blocker(id)
  local waits_for, state = id, 'blocked'
  while state == 'blocked' and looks > 0 do
    local other = open_needed(waits_for, 1)[1]
    if not other then break end
    looks = looks - 1
    waits_for, state = other, state_of(other)
  end
  return waits_for, state
end
