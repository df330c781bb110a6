-- How many jobs are ahead of a waiting job in its lane; for one that waits for others, for which.
-- KEYS  posts prefix · jobs prefix · lane prefix
-- ARGV  id · stamp of the job that is meant, or '' for any with that id
-- RETURNS  {'gone'} · {'other'} · {'ok', jobs ahead of it, or false if it does not wait in its lane, lane} · {'ok', false, lane,
--          id, state and lane of the first job that it waits for and that waits for no other itself, how many jobs that one
--          waits for} if it is blocked. After 500 looks at jobs, that may be one that waits for others
--- include check_stamp
--- include fields
--- include head
--- include ended
local posts, jobs, lane_prefix = KEYS[1], KEYS[2], KEYS[3]
--- include options
local id = ARGV[1]
local _, word = check_stamp(posts .. id, jobs .. id, ARGV[2])
if word then
  return {word}
end
local lane = lane_of(posts, id)
if not lane then
  return {'gone'}
end
local ahead = redis.call('ZRANK', lane_prefix .. lane, id)

-- The state of a job; 'gone' if it has no record.
local function state_of(one)
  return read_fields(jobs .. one, 'state')[1] or lane_of(posts, one) and 'queued' or 'gone'
end

local looks = 500
local function has_ended(one)
  looks = looks - 1
  return ENDED[state_of(one)]
end

-- The first part of a split, in these ranges of ids, that has not ended.
local function first_part(ranges)
  for first, last in string.gmatch(ranges, '(%d+)-(%d+)') do
    for number = first, last do
      local part = string.format('%d', number)
      if looks <= 0 then return nil end
      if not has_ended(part) then return part end
    end
  end
end

-- The first job that blocked job `one` waits for; nil if that takes too long to find out.
local function first_needed(one)
  local own = read_fields(jobs .. one, 'tail', 'parts')
  if own[1] or own[2] then
    return own[1] or first_part(own[2])
  end
  for _, other in ipairs(needed_by(options_of(one))) do
    if looks <= 0 then return nil end
    if not has_ended(other) then return other end
  end
end

local state, waits_for = ahead and 'queued' or state_of(id), id
if state ~= 'blocked' then
  return {'ok', ahead, lane}
end
while state == 'blocked' and looks > 0 do
  local other = first_needed(waits_for)
  if not other then break end
  looks = looks - 1
  waits_for, state = other, state_of(other)
end
local number = tonumber(read_fields(jobs .. waits_for, 'needs')[1] or '') or 0
return {'ok', ahead, lane, waits_for, state, lane_of(posts, waits_for) or '', number}
