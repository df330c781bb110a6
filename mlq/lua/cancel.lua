-- Takes a waiting job out of its lane.
-- Guarantee: it will not run, unless a person requeues it.
-- KEYS  those of shared/lapse.lua
-- ARGV  id
-- RETURNS  {'ok'} · {'gone'} · {'state', the state that forbids it}
--- include clock
--- include wake
--- include announce
--- include finish
--- include line_up
--- include lapse
local id = ARGV[1]
local lane = lane_of(posts, id)
if not lane then
  return {'gone'}
end
local state = redis.call('HGET', jobs .. id, 'state') or 'queued'
if state ~= 'queued' then
  return {'state', state}
end
local url, ttl = callback_url(id), tonumber(options_of(id).ttl)
redis.call('HSET', jobs .. id, 'state', 'cancelled', 'finished', clock())
redis.call('ZREM', lane_stem .. lane, id)
if url then
  queue_callback(callbacks, callback, clock(), id, url, 'cancelled', '', '0')
end
if ttl and ttl > 0 and ttl < 1e10 then
  local expiry = string.format('%d', math.max(1, math.floor(ttl * 1000 + 0.5)))
  redis.call('PEXPIRE', jobs .. id, expiry)
  redis.call('PEXPIRE', posts .. id, expiry)
end
announce(waiters, inboxes, id)
return {'ok'}
