-- Adds jobs to lanes, and lanes to the set of those that have jobs.

-- Adds job `id` to a lane, at its `place`. If the lane's key is of another type, it is replaced: it would refuse every job of the lane,
-- forever. Call this after another write, so that a server that refuses writes has refused before.
local function add_to_lane(lane_key, id, place)
  if type(redis.pcall('ZADD', lane_key, place, id)) ~= 'number' then
    redis.call('DEL', lane_key)
    redis.call('ZADD', lane_key, place, id)
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
