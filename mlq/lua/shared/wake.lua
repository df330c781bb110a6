-- What a lane's first job means for workers. Workers that serve the same things are a class, and each class has an index
-- of the lanes with work that it serves, by the place of their first job: a claim looks at those that it needs.

-- Lets one idle worker of a class know that there is work. At most one token: a claim that leaves jobs passes it on.
local function wake(class)
  local tokens = redis.pcall('RPUSH', class .. ':wake', '1')
  if tokens == 1 then
    redis.call('EXPIRE', class .. ':wake', 60) -- by then, somebody has looked
  elseif type(tokens) == 'number' then
    redis.call('LPOP', class .. ':wake')
  else -- of another type: the next post or claim wakes
    redis.call('DEL', class .. ':wake')
  end
end

-- Changes an index, or drops one of another type: workers make it anew.
local function change_index(ready, ...)
  if type(redis.pcall(...)) ~= 'number' then
    redis.call('DEL', ready)
  end
end

-- Tells the classes that serve `lane` the place of its first job, or nil when it is empty; gives those classes.
local function tell_classes(serves, classes, lane, place)
  local queue, functions = string.match(lane, '^([^:]*):?(.*)$')
  local needed = {serves .. queue .. (functions ~= '' and ':' or '')}
  for name in string.gmatch(functions, '[^,]+') do
    needed[#needed + 1] = serves .. ':' .. name
  end
  local told = redis.pcall('SINTER', unpack(needed)) -- where a key is of another type: nobody, until workers register
  for i, name in ipairs(told) do
    told[i] = classes .. name
    local ready = told[i] .. ':ready'
    if place then
      change_index(ready, 'ZADD', ready, place, lane)
    else
      change_index(ready, 'ZREM', ready, lane)
    end
  end
  return told
end

-- A job came to `lane` and is its first one now: idle workers are to know.
local function first_came(serves, classes, lane, place)
  for _, class in ipairs(tell_classes(serves, classes, lane, place)) do
    wake(class)
  end
end

-- The first job of `lane` left it: the next one stands at `place`, or there is none.
local function first_left(lanes, serves, classes, lane, place)
  if not place then
    redis.call('SREM', lanes, lane)
  end
  tell_classes(serves, classes, lane, place)
end
