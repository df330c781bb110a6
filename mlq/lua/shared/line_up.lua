-- The lane of job `id`, from the head of its record; nil where there is none (an id that is not a number has no place,
-- and a key of another type is no record).
local function lane_of(posts, id)
  local head = tonumber(id) and redis.pcall('GETRANGE', posts .. id, 0, 1023)
  return type(head) == 'string' and string.match(head, '^([^\n]+)\n') or nil
end

-- Puts job `id` (back) into its lane at its own place: ids rise, so a job that was posted earlier comes first.
local function line_up(lane_stem, lanes, version, wake_stem, lane, id)
  redis.call('ZADD', lane_stem .. lane, id, id)
  if redis.call('SADD', lanes, lane) == 1 then
    redis.call('SET', version, clock())
  end
  wake(wake_stem, lane)
end
