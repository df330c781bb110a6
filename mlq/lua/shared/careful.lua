-- Reads for lists, which one damaged entry must not stop: a key of another type reads as one that is not there.
local function read_head(key, last)
  local head = redis.pcall('GETRANGE', key, 0, last)
  return type(head) == 'string' and head or ''
end

-- The values of these fields, in order; false for each that is not there.
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
