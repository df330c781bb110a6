-- The schedules that are due, earliest first. Those of which a part is lost are due no more, until they are declared again.
-- Guarantee: the same call sent again changes nothing more.
-- KEYS  schedule_due zset · schedules hash · course prefix
-- ARGV  most schedules
-- RETURNS  {time, then per schedule: name, when it is due, declaration, and of its course: lane, body, anchor, last, changed}
--- include clock
--- include fields
local schedule_due, schedules, courses = KEYS[1], KEYS[2], KEYS[3]
local now = clock()
local reply = {now}
local found = redis.pcall('ZRANGEBYSCORE', schedule_due, '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
for i = 1, #found, 2 do
  local name = found[i]
  local declaration = read_fields(schedules, name)[1]
  local own = read_fields(courses .. name, 'lane', 'body', 'anchor', 'last', 'changed')
  if declaration and own[1] and own[2] and own[5] then
    for _, value in ipairs({name, found[i + 1], declaration}) do reply[#reply + 1] = value end
    for field = 1, 5 do reply[#reply + 1] = own[field] or '' end
  else
    redis.call('ZREM', schedule_due, name)
  end
end
return reply
