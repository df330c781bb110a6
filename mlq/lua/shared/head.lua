-- What the head of a job's record tells: its lane, and when it was posted. A key of another type is no record.
--- include whole

-- The first bytes of the record under `key`, with all of its lane and its stamp.
local function read_head(key)
  local head = redis.pcall('GETRANGE', key, 0, 1099)
  return type(head) == 'string' and head or ''
end

-- When the job of the record that begins with `head` was posted, or '' where that is no record.
local function stamp_in(head)
  return string.match(head, '^[^\n]*\n(%d+%.%d+)\n') or ''
end

-- The lane of job `id`; nil where it has no record.
local function lane_of(posts, id)
  return is_id(id) and string.match(read_head(posts .. id), '^([^\n]+)\n') or nil
end
