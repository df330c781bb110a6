-- A worker's heartbeat, with what it reports about itself.
-- Guarantee: the worker counts as alive for that many seconds from now. Drops the workers whose time has passed.
-- KEYS  workers zset · worker hash · format string · uploads-version string · epoch string
-- ARGV  name · seconds to count as alive · version of the layout · field · value · ...
-- RETURNS  {'ok', version of the uploads, epoch of the ids or ''} · {'format', version} if the namespace has another layout
--- include clock
local workers, worker, format, uploads_version, epoch = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local there = redis.call('MGET', format, uploads_version, epoch)
local kept = there[1]
if kept and kept ~= ARGV[3] then
  return {'format', kept}
end
if not kept then
  redis.call('SET', format, ARGV[3])
end
local now = clock()
redis.call('HSET', worker, 'seen', now, unpack(ARGV, 4))
redis.call('EXPIRE', worker, 60)
redis.call('ZADD', workers, now + tonumber(ARGV[2]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now)
redis.call('EXPIRE', workers, 60)
return {'ok', there[2] or '', there[3] or ''}
