-- Reads that one damaged entry must not stop: a key of another type reads as one that is not there.

-- The first bytes of the record under `key`, with all of its lane and its stamp.
local function read_head(key)
  local head = redis.pcall('GETRANGE', key, 0, 1099)
  return type(head) == 'string' and head or ''
end

-- When the job of the record that begins with `head` was posted, or '' where that is no record.
local function stamp_in(head)
  return string.match(head, '^[^\n]*\n(%d+%.%d+)\n') or ''
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
