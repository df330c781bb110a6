-- Where a job stands among all those that workers may take before it. Uses the locals `lane_prefix`, `serves` and `classes`.

local LANES, CLASSES = 100, 10 -- at which to look
local LOOKS = 2000 -- at lanes and their shares, for all classes together: some milliseconds
local looks -- those that are left for a class

-- Calls `jobs_in(share, its lane)` for the first shares of a ring (ring.lua), and returns the sum.
local function sum_of_shares(ring, jobs_in)
  local sum = 0
  if looks < 1 then return sum end
  for _, share in ipairs(redis.pcall('ZRANGE', lane_prefix .. ring, 0, math.min(LANES, looks) - 1)) do
    looks = looks - 1
    sum = sum + (tonumber(jobs_in(share, lane_prefix .. ring .. share)) or 0)
  end
  return sum
end

-- Jobs before `place` in all lanes of an index of a class of workers.
local function before(index, place)
  local count = 0
  local function before_in(_, lane_key)
    return redis.pcall('ZCOUNT', lane_key, '-inf', '(' .. place)
  end
  for _, lane in ipairs(redis.pcall('ZRANGEBYSCORE', index, '-inf', '(' .. place, 'LIMIT', 0, LANES)) do
    if looks < 1 then break end
    looks = looks - 1
    if string.sub(lane, 1, 1) == ':' and lane ~= ':' then -- stands for the lanes that have the same gates
      count = count + before(index .. lane, place)
    elseif string.sub(lane, -1) == '|' then
      count = count + sum_of_shares(lane, before_in)
    else
      count = count + (tonumber(before_in(nil, lane_prefix .. lane)) or 0)
    end
  end
  return count
end

-- Jobs that come before the one with this place in `lane`, for the class of workers that gets to it first; nil if none serves the lane.
local function line_before(lane, place)
  local queue, functions = string.match(lane, '^([^:|]*):?([^|]*)') -- as in tell_classes
  local needed, least = {serves .. queue .. (functions ~= '' and ':' or '')}, nil
  if string.sub(queue, 1, 1) == '#' then
    needed, functions = {serves .. string.match(lane, '^[^|]*')}, ''
  end
  for name in string.gmatch(functions, '[^,]+') do
    needed[#needed + 1] = serves .. ':' .. name
  end
  local found = redis.pcall('SINTER', unpack(needed))
  for i, class in ipairs(found) do
    if i > CLASSES then break end
    looks = math.floor(LOOKS / math.min(#found, CLASSES))
    local count = before(classes .. class .. ':ready', place)
    least = math.min(least or count, count)
  end
  return least
end
