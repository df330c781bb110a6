-- Notes which models a worker holds, and which it holds no more.
-- Guarantee: what it holds counts for 100 s from now. Drops the workers that have not said so for longer.
-- KEYS  holders prefix
-- ARGV  worker · how many models it holds · then every one of these, and every one that it holds no more
-- RETURNS  'ok'
--- include clock
--- include holding
local holders = KEYS[1]
local worker, held, now = ARGV[1], tonumber(ARGV[2]), clock()
for i = 3, #ARGV do
  local key = holders .. ARGV[i]
  if i <= held + 2 then
    note_holder(key, worker, now)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  else
    redis.pcall('ZREM', key, worker)
  end
end
return 'ok'
