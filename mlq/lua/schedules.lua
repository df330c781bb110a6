-- Schedules with what became of them: a page of all, or one.
-- KEYS  schedules hash · schedule_due zset · course prefix · jobs prefix · posts prefix
-- ARGV  cursor ('0' to begin), or '' for one schedule · its name
-- RETURNS  {next cursor ('0' at the end), time, then what shared/schedule_row.lua tells of each, the body only of one}
--- include clock
local schedules, schedule_due, courses, jobs, posts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
--- include schedule_row
local cursor, name = ARGV[1], ARGV[2]
local page = {'0', {}}
if cursor == '' then
  page[2] = {name, redis.call('HGET', schedules, name)}
else
  page = redis.call('HSCAN', schedules, cursor, 'COUNT', 50)
end
local reply = {page[1], clock()}
for i = 1, #page[2], 2 do
  if page[2][i + 1] then add_row(reply, page[2][i], page[2][i + 1], cursor == '') end
end
return reply
