-- Notes what jobs count for beside their queue and their functions: what the listeners of a worker use.
-- Guarantee: what is noted already changes nothing; else all lanes are grouped anew (shared/gate_index.lua).
-- KEYS  uses hash · gates string · class prefix
-- ARGV  a function (`:embed`), or a queue for its jobs without functions (`gpu`) · gates with commas, or '' for none · then every
--       further pair
-- RETURNS  1 if that changed something, else 0
--- include clock
--- include delete_if_wrong_type
--- include wake
--- include regroup
local uses, gates, classes = KEYS[1], KEYS[2], KEYS[3]
delete_if_wrong_type(uses, 'hash')
local is_new = false
for i = 1, #ARGV, 2 do
  local before = redis.call('HGET', uses, ARGV[i]) or ''
  if ARGV[i + 1] == '' then
    redis.call('HDEL', uses, ARGV[i])
  elseif before ~= ARGV[i + 1] then
    redis.call('HSET', uses, ARGV[i], ARGV[i + 1])
  end
  is_new = is_new or before ~= ARGV[i + 1]
end
redis.call('EXPIRE', uses, 86400) -- whoever registers a class renews it (register.lua)
if is_new and redis.call('EXISTS', gates) == 1 then
  redis.call('SET', gates, clock())
  regroup(gates, classes)
end
return is_new and 1 or 0
