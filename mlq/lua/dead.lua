-- One page of the dead letters, oldest first.
-- KEYS  dead zset · jobs prefix
-- ARGV  first · last (places from 0)
-- RETURNS  per dead letter: id, time of failure, reason, error type, error message, attempts
--- include fields
local dead, jobs = KEYS[1], KEYS[2]
local page = redis.call('ZRANGE', dead, ARGV[1], ARGV[2], 'WITHSCORES')
local reply = {}
for i = 1, #page, 2 do
  local job = read_fields(jobs .. page[i], 'reason', 'error_type', 'error', 'attempts')
  for _, value in ipairs({page[i], page[i + 1], job[1], job[2], job[3], job[4]}) do
    reply[#reply + 1] = value
  end
end
return reply
