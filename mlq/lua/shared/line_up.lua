-- Adds jobs to lanes, and removes them.
--- include head
--- include wake

-- Adds job `id` to a lane. If the lane's key is of another type, it is replaced: it would refuse every job of the lane,
-- forever. Call this after another write, so that a server that refuses writes has refused before.
local function add_to_lane(lane_key, id)
  if type(redis.pcall('ZADD', lane_key, id, id)) ~= 'number' then
    redis.call('DEL', lane_key)
    redis.call('ZADD', lane_key, id, id)
  end
end

-- Adds a lane to the set of those that have jobs; whether it was not there. A set of another type is replaced, as above.
local function add_lane(lanes, lane)
  local added = redis.pcall('SADD', lanes, lane)
  if type(added) ~= 'number' then
    redis.call('DEL', lanes)
    added = redis.call('SADD', lanes, lane)
  end
  return added == 1
end

-- Puts job `id` (back) into its lane. Its place is its id; ids rise, so a job that was posted earlier comes first.
local function line_up(lane_prefix, lanes, serves, classes, lane, id)
  add_to_lane(lane_prefix .. lane, id)
  add_lane(lanes, lane)
  if redis.call('ZRANK', lane_prefix .. lane, id) == 0 then
    first_came(serves, classes, lane, id)
  end
end

-- Takes job `id` out of its lane, if it waits there.
local function leave_line(lane_prefix, lanes, serves, classes, lane, id)
  if redis.pcall('ZREM', lane_prefix .. lane, id) == 1 then
    first_left(lanes, serves, classes, lane, redis.call('ZRANGE', lane_prefix .. lane, 0, 0, 'WITHSCORES')[2])
  end
end
