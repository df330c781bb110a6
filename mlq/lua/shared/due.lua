-- What a look does for jobs whose time has come: `most` of each kind, of those at `now`.
--- include cancelling
--- include transitions
--- include whole
--- include fields
--- include delete_if_wrong_type

-- Those that waited for a time, or for an hour to run apart, come into their lanes.
local ready = redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, most)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', scheduled, 1e11, now + 1e11 - 3600, 'LIMIT', 0, most)) do
  ready[#ready + 1] = id
end
for _, id in ipairs(ready) do
  local lane = lane_of(posts, id)
  redis.call('ZREM', scheduled, id)
  local state = after(redis.pcall('HGET', jobs .. id, 'state'), 'come due')
  if lane and state then
    redis.call('HSET', jobs .. id, 'state', state)
    line_up(lane_prefix, lanes, serves, classes, lane, id, place_of(id, options_of(id)))
  end
end

-- Those that have not begun and expire now are cancelled. One that a worker has taken, but may not have begun, is looked at again
-- in a minute, since it may come back.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiring, '-inf', now, 'LIMIT', 0, most)) do
  delete_if_wrong_type(jobs .. id, 'hash')
  local own = read_fields(jobs .. id, 'state', 'attempts')
  local state, attempts = own[1] or 'queued', whole(own[2])
  if state == 'running' and attempts == 1 then
    redis.call('ZADD', expiring, string.format('%.6f', now + 60), id)
  else
    redis.call('ZREM', expiring, id)
    if attempts == 0 and lane_of(posts, id) and after(state, 'expire') then cancel_one(now, id, 'expired') end
  end
end
