-- Pauses a schedule, or lets it go on: it is due then, but not for the ticks of its pause.
-- Guarantee: a schedule that is paused, or goes on, already is left as it is.
-- KEYS  schedules hash · course hash · schedule_due zset · workers zset · inboxes prefix
-- ARGV  name · '' to pause it, or when it is due · when it was changed last, as the caller saw it
-- RETURNS  {'ok'} · {'gone'} · {'changed'} if it was declared again since
--- include clock
--- include tell_of_time
local schedules, course, schedule_due, workers, inboxes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local name, due = ARGV[1], ARGV[2]
if redis.call('HEXISTS', schedules, name) == 0 then return {'gone'} end
local now, own = clock(), redis.call('HMGET', course, 'changed', 'paused')
if due == '' then
  local next_tick = redis.call('ZSCORE', schedule_due, name)
  redis.call('HSETNX', course, 'paused', now)
  if next_tick then redis.call('HSET', course, 'anchor', next_tick) end -- an interval goes on in its rhythm
  redis.call('ZREM', schedule_due, name)
elseif own[1] ~= ARGV[3] then
  return {'changed'}
elseif own[2] then
  redis.call('HDEL', course, 'paused')
  redis.call('ZADD', schedule_due, due, name)
  tell_of_time(workers, inboxes, tonumber(due), now)
end
return {'ok'}
