-- Jobs in their lanes: how one comes there, and how it leaves.
--- include head
--- include wake

-- Adds job `id` to a lane. What stands under the lane's name and is of another type goes: it would refuse every job of the
-- lane, for ever. Write something before: a server that refuses now must not refuse this alone.
local function add_to_lane(lane_key, id)
  if type(redis.pcall('ZADD', lane_key, id, id)) ~= 'number' then
    redis.call('DEL', lane_key)
    redis.call('ZADD', lane_key, id, id)
  end
end

-- Puts job `id` (back) into its lane at its own place: ids rise, so a job that was posted earlier comes first.
local function line_up(lane_stem, lanes, serves, classes, lane, id)
  redis.call('SADD', lanes, lane)
  add_to_lane(lane_stem .. lane, id)
  if redis.call('ZRANK', lane_stem .. lane, id) == 0 then
    first_came(serves, classes, lane, id)
  end
end

-- Takes job `id` out of its lane, if it waits there.
local function leave_line(lane_stem, lanes, serves, classes, lane, id)
  if redis.pcall('ZREM', lane_stem .. lane, id) == 1 then
    first_left(lanes, serves, classes, lane, redis.call('ZRANGE', lane_stem .. lane, 0, 0, 'WITHSCORES')[2])
  end
end
