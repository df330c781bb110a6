-- What is limited, and what is paused.
-- KEYS  limits hash · paused hash
-- RETURNS  {gate, packed limit, ...} · {gate, packed pause, ...}; nothing for a key of another type
local limits, paused = KEYS[1], KEYS[2]
local found = {redis.pcall('HGETALL', limits), redis.pcall('HGETALL', paused)}
for i, fields in ipairs(found) do
  if fields.err then found[i] = {} end
end
return found
