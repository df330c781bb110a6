-- Records how a try to send a callback went.
-- Guarantee: only the try that is current; the last failure ends it.
-- KEYS  callbacks zset · callback hash · job hash
-- ARGV  id · try · what to record ('sent', or why not) · seconds until the next try, or '' for none
-- RETURNS  'ok' or 'gone'
--- include clock
local callbacks, callback, job = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', callback, 'tries') ~= ARGV[2] then
  return 'gone'
end
redis.call('ZREM', callbacks, ARGV[1]) -- first, since a full server allows it, and all that follows it
if ARGV[4] == '' then
  redis.call('DEL', callback)
else
  redis.call('ZADD', callbacks, clock() + tonumber(ARGV[4]), ARGV[1])
end
if redis.call('EXISTS', job) == 1 then
  redis.call('HSET', job, 'callback_outcome', ARGV[3])
end
return 'ok'
