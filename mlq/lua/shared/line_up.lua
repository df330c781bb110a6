-- Puts jobs back into lanes, and takes them out.
--- include lane
--- include wake
--- include shares
--- include clock

-- Puts job `id` (back) into its lane, at its `place` (`place_of` in part.lua). Of one that may be a model's it is kept for a
-- minute since when it waits, which may be long after its post (reserved.lua).
local function line_up(lane_prefix, lanes, serves, classes, lane, id, place)
  if string.find(lane, '^[^|]*@') then
    redis.call('SET', jobs .. id .. ':ready', clock(), 'EX', 60)
  end
  add_to_lane(lane_prefix .. lane, id, place)
  if string.find(lane, '|', 1, true) then
    change_share(lane_prefix, lanes, serves, classes, 'came', lane, id)
  elseif add_lane(lanes, lane) or redis.call('ZRANK', lane_prefix .. lane, id) == 0 then
    first_came(serves, classes, lane, place)
  end
end

-- Takes job `id` out of its lane, if it waits there.
local function leave_line(lane_prefix, lanes, serves, classes, lane, id)
  if redis.pcall('ZREM', lane_prefix .. lane, id) ~= 1 then return end
  if string.find(lane, '|', 1, true) then
    change_share(lane_prefix, lanes, serves, classes, 'left', lane)
  else
    first_left(lanes, serves, classes, lane, redis.call('ZRANGE', lane_prefix .. lane, 0, 0, 'WITHSCORES')[2])
  end
end
