-- How shares come into a ring.
--- include ring
--- include lane
--- include wake

local KEPT = 604800 -- seconds for which the times of a lane are kept when no share comes or goes any more

-- From which time on a share begins that comes now: not before those that wait, so it has no credit for having been away. Forgets
-- shares that are gone and whose times are over: they would begin there, too.
local function beginning(ring, share)
  local times, means = lane_prefix .. ring .. '|times', lane_prefix .. ring .. '|means'
  local kept = redis.pcall('ZMSCORE', times, share, '')
  if kept.err then
    redis.call('DEL', times)
    kept = {}
  end
  local clock, least = tonumber(kept[2] or ''), tonumber(redis.call('ZRANGE', lane_prefix .. ring, 0, 0, 'WITHSCORES')[2] or '')
  local begins = math.min(least or clock or 0, clock or least or 0)
  local over = redis.call('ZRANGEBYSCORE', times, '-inf', string.format('(%.17g', begins), 'LIMIT', 0, 20)
  if #over > 0 then
    redis.pcall('HDEL', means, unpack(over))
  end
  redis.call('ZREM', times, share, unpack(over))
  redis.call('EXPIRE', times, KEPT)
  redis.call('EXPIRE', means, KEPT)
  return math.max(tonumber(kept[1] or '') or begins, begins)
end

-- Adds a share to the ring, if it is not there and its gate is open; returns whether that changed something.
local function join_ring(ring, share)
  local score = redis.pcall('ZSCORE', lane_prefix .. ring, share)
  if type(score) == 'string' then return false end
  add_lane(lanes, ring .. share)
  local gate = gating and gating.of_share(share)
  if gate and gating.closed_one({gate}) then
    gating.park(ring, share, gate)
    return false
  end
  if score then redis.call('DEL', lane_prefix .. ring) end -- a key of another type; its shares come back with their next jobs
  redis.call('ZADD', lane_prefix .. ring, string.format('%.17g', beginning(ring, share)), share)
  return true
end
