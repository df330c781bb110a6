-- One page of the dead letters, oldest first.
-- KEYS  dead zset · jobs prefix · posts prefix
-- ARGV  first · last (places from 0)
-- RETURNS  per dead letter: id, time of failure, reason, error type, error message, attempts, errors, losses
--          alone, losses with others, head of the record
--- include fields
--- include head
local dead, jobs, posts = KEYS[1], KEYS[2], KEYS[3]
local page = redis.call('ZRANGE', dead, ARGV[1], ARGV[2], 'WITHSCORES')
local reply = {}
for i = 1, #page, 2 do
  local job = read_fields(jobs .. page[i], 'reason', 'error_type', 'error', 'attempts', 'errors', 'losses', 'shared')
  reply[#reply + 1], reply[#reply + 2] = page[i], page[i + 1]
  for f = 1, 7 do
    reply[#reply + 1] = job[f]
  end
  reply[#reply + 1] = read_head(posts .. page[i])
end
return reply
