-- What the index of a class has of a lane with jobs. Uses the locals of register.lua.
--- include shares
--- include class_keys

-- Adds a lane that is in the set of those with jobs, if the class serves it. That it is in the set may be wrong.
local function index_lane(lane)
  if not is_served(served, lane) then return end
  local place
  if string.find(lane, '|', 1, true) then
    place, lane = change_share(lane_prefix, lanes, serves, classes, 'seen', lane), string.match(lane, '^[^|]*|')
  else
    place = redis.pcall('ZRANGE', lane_prefix .. lane, 0, 0, 'WITHSCORES')[2]
    if not place then redis.call('SREM', lanes, lane) end -- somebody deleted the lane's key, or it is of another type
  end
  local group = place and gating and gating.group_of(lane)
  if group then
    gating.tell(classes, {ARGV[1]}, group, lane, place)
  elseif place then
    redis.call('ZADD', ready, place, lane)
  end
end
