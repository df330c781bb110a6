-- Removes a schedule. Its jobs stay, and one that runs goes on.
-- Guarantee: nothing of it is left. The same call sent again finds none.
-- KEYS  schedules hash · course hash · schedule_due zset
-- ARGV  name
-- RETURNS  {'ok'} · {'gone'} if there was none
local schedules, course, schedule_due = KEYS[1], KEYS[2], KEYS[3]
redis.call('DEL', course)
redis.pcall('ZREM', schedule_due, ARGV[1])
return {redis.call('HDEL', schedules, ARGV[1]) == 1 and 'ok' or 'gone'}
