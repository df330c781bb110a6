-- Tells workers about a lane's first job. Workers that serve the same queues and functions are a class, and each class has
-- an index of the lanes with work that it serves, by the place of their first job: a claim reads only those that it needs.

local gating -- what is done with limits and pauses (gating.lua); nil in a namespace that has none

-- Wakes one idle worker of a class. There is at most one token: a claim that leaves jobs behind puts it back.
local function wake(class)
  local tokens = redis.pcall('RPUSH', class .. ':wake', '1')
  if tokens == 1 then
    redis.call('EXPIRE', class .. ':wake', 60) -- every idle worker has checked its index by then
  elseif type(tokens) == 'number' then
    redis.call('LPOP', class .. ':wake')
  else -- a key of another type; the next post or claim wakes a worker
    redis.call('DEL', class .. ':wake')
  end
end

-- Changes an index, or removes a key of another type in its place: a worker creates the index again.
local function change_index(ready, ...)
  if type(redis.pcall(...)) ~= 'number' then
    redis.call('DEL', ready)
  end
end

-- Updates the indexes of the classes that serve `lane` with the place of its first job (nil if it is empty). Returns those
-- classes, but those alone that may begin jobs of it now.
local function tell_classes(serves, classes, lane, place)
  local queue, functions = string.match(lane, '^([^:|]*):?([^|]*)')
  local needed = {serves .. queue .. (functions ~= '' and ':' or '')}
  if string.sub(queue, 1, 1) == '#' then -- MLQ's own queues: classes serve their lanes one by one
    needed, functions = {serves .. string.match(lane, '^[^|]*')}, ''
  end
  for name in string.gmatch(functions, '[^,]+') do
    needed[#needed + 1] = serves .. ':' .. name
  end
  local found = redis.pcall('SINTER', unpack(needed)) -- none if a key is of another type, until a worker registers
  local group = gating and gating.group_of(lane)
  if group then return gating.tell(classes, found, group, lane, place) end
  for i, name in ipairs(found) do
    found[i] = classes .. name
    local ready = found[i] .. ':ready'
    if place then
      change_index(ready, 'ZADD', ready, place, lane)
    else
      change_index(ready, 'ZREM', ready, lane)
    end
  end
  return found
end

-- Call this when a new job has become the first one of `lane`: wakes idle workers.
local function first_came(serves, classes, lane, place)
  for _, class in ipairs(tell_classes(serves, classes, lane, place)) do
    wake(class)
  end
end

-- Call this when the first job of `lane` may have left it: `place` is that of the next one, or nil if there is none.
local function first_left(lanes, serves, classes, lane, place)
  if not place then
    redis.pcall('SREM', lanes, lane)
  end
  tell_classes(serves, classes, lane, place)
end
