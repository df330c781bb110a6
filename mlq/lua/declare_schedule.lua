-- Declares a schedule: makes a new one, or changes the one of this name.
-- Guarantee: the same declaration again changes nothing but when it was declared last. Where only the job changes, the schedule is
-- due when it was. A schedule of the code is not changed by a person, and one that is paused stays so. The same call sent again
-- does no more.
-- KEYS  schedules hash · course hash · schedule_due zset · workers zset · inboxes prefix
-- ARGV  name · declaration · lane of its jobs · body of their records · its times · when it is due first · 'code' or 'run time'
--       · how many schedules there may be
-- RETURNS  {'new', 'changed' or 'same'} · {'code'} if it is one of the code · {'full'} if there are too many
--- include clock
--- include delete_if_wrong_type
--- include tell_of_time
local schedules, course, schedule_due, workers, inboxes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local name, declaration, lane, body, times, due, owner = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
delete_if_wrong_type(schedules, 'hash')
delete_if_wrong_type(course, 'hash')
delete_if_wrong_type(schedule_due, 'zset')

local now, known = clock(), redis.call('HGET', schedules, name)
local own = redis.call('HMGET', course, 'lane', 'body', 'times', 'owner', 'paused', 'changed')
local is_same = known == declaration and own[1] == lane and own[2] == body and own[6]
if known and not is_same and own[4] == 'code' and owner ~= 'code' then return {'code'} end
if not known and redis.call('HLEN', schedules) >= tonumber(ARGV[8]) then return {'full'} end

redis.call('HSET', course, 'declared', now, 'owner', is_same and own[4] == 'code' and 'code' or owner)
if not is_same then
  redis.call('HSET', schedules, name, declaration)
  redis.call('HSET', course, 'lane', lane, 'body', body, 'times', times, 'changed', now)
end
local is_due = redis.call('ZSCORE', schedule_due, name)
if own[3] ~= times or not (is_due or own[5]) then
  redis.call('HSET', course, 'anchor', due)
  if not own[5] then
    redis.call('ZADD', schedule_due, due, name)
    tell_of_time(workers, inboxes, tonumber(due), now)
  end
end
return {not known and 'new' or is_same and 'same' or 'changed'}
