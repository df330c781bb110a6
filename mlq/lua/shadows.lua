-- The shadows that are set, by model. A key of another type has none: workers ask with their heartbeat, which must not fail.
-- KEYS  shadows hash
-- RETURNS  {model, setting, model, ...}
local shadows = KEYS[1]
local found = redis.pcall('HGETALL', shadows)
return found.err and {} or found
