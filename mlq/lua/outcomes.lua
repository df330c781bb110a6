-- The outcomes of several jobs, for one that needs their results.
-- KEYS  jobs prefix
-- ARGV  id · then every further id
-- RETURNS  {field, value, ...} of each, but not of those after the one with which they are larger than 4 MB
local jobs = KEYS[1]
local reply, size = {}, 0
for _, id in ipairs(ARGV) do
  local fields = redis.pcall('HGETALL', jobs .. id) -- a key of another type has none
  if fields.err then fields = {} end
  for i = 2, #fields, 2 do size = size + #fields[i] end
  reply[#reply + 1] = fields
  if size > 4e6 then break end
end
return reply
