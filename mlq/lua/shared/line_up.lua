-- The lane of job `id`, from the head of its record; nil where there is none (what is no id has no place, and a key of
-- another type is no record).
local function lane_of(posts, id)
  local head = is_id(id) and redis.pcall('GETRANGE', posts .. id, 0, 1023)
  return type(head) == 'string' and string.match(head, '^([^\n]+)\n') or nil
end

-- Puts job `id` (back) into its lane at its own place: ids rise, so a job that was posted earlier comes first.
local function line_up(lane_stem, lanes, serves, classes, lane, id)
  redis.call('ZADD', lane_stem .. lane, id, id)
  redis.call('SADD', lanes, lane)
  if redis.call('ZRANK', lane_stem .. lane, id) == 0 then
    first_came(serves, classes, lane, id)
  end
end

-- Takes job `id` out of its lane, if it waits there.
local function leave_line(lane_stem, lanes, serves, classes, lane, id)
  if redis.call('ZREM', lane_stem .. lane, id) == 1 then
    first_left(lanes, serves, classes, lane, redis.call('ZRANGE', lane_stem .. lane, 0, 0, 'WITHSCORES')[2])
  end
end
