-- The values of these fields, in order; false for each that is missing, and for all if the key is of another type.
local function read_fields(key, ...)
  local found = redis.pcall('HMGET', key, ...)
  if found.err then
    found = {}
    for i = 1, select('#', ...) do
      found[i] = false
    end
  end
  return found
end
