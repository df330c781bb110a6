-- The lane of job `id`, from the head of its record; nil where there is none (an id that is not a number has no place).
local function lane_of(posts, id)
  return tonumber(id) and string.match(redis.call('GETRANGE', posts .. id, 0, 1023), '^([^\n]+)\n')
end

-- Puts job `id` (back) into its lane at its own place: ids rise, so a job that was posted earlier comes first.
local function line_up(lane_stem, lanes, version, wake_stem, lane, id)
  redis.call('ZADD', lane_stem .. lane, id, id)
  if redis.call('SADD', lanes, lane) == 1 then
    redis.call('SET', version, clock())
  end
  wake(wake_stem, lane)
end
