-- Corrects what shares are charged, once it is known how long an attempt took.
--- include positive
--- include fields

-- How long the jobs of a share take, and those of all: each further one counts for an eighth.
local function note_time(means, share, took)
  local known = read_fields(means, share, '')
  for i = 1, 2 do
    local mean = positive(known[i], took)
    known[i] = string.format('%.6g', mean + (took - mean) / 8)
  end
  redis.pcall('HSET', means, share, known[1], '', known[2])
end

-- Corrects what the share was charged when job `id` was claimed, for an attempt that ends. A second time does nothing. `used`: seconds
-- of a slot; nil if no worker tells, then those since the claim count.
local function correct_charge(ring, share, id, now, used)
  local own, key = read_fields(jobs .. id, 'charged', 'started'), lane_prefix .. ring
  local charged, weight = string.match(own[1] or '', '^(%S+) ?(%S*)$')
  if not charged then return end
  weight = positive(weight, nil) or positive(read_fields(lane_prefix .. '||weights', share)[1], 1)
  local took = math.max(0, math.min(used or now - (tonumber(own[2] or '') or now), 1e7))
  local expected = positive(charged, 0)
  local more = took / weight - expected
  redis.call('HDEL', jobs .. id, 'charged')
  if type(redis.pcall('ZADD', key, 'XX', 'INCR', string.format('%.17g', more), share)) ~= 'string' then
    local kept = redis.pcall('ZMSCORE', key .. '|times', share, '') -- it has no more jobs that wait
    redis.pcall('ZADD', key .. '|times', string.format('%.17g', (tonumber(kept[1] or kept[2] or '') or 0) + more), share)
  end
  -- the charge is what is known: where that is about right, and where it hardly matters, nothing is read
  if used and math.abs(more) * weight > math.max(expected * weight / 10, 0.001) then note_time(key .. '|means', share, took) end
end
