-- Reads the head of a job's record: its lane, and when it was posted. A key of another type counts as no record.
--- include whole

-- The first bytes of the record under `key`: enough for its whole lane and its stamp.
local function read_head(key)
  local head = redis.pcall('GETRANGE', key, 0, 1099)
  return type(head) == 'string' and head or ''
end

-- The stamp in the `head` of a record (when the job was posted), or '' if that is not a record's head.
local function stamp_in(head)
  return string.match(head, '^[^\n]*\n(%d+%.%d+)\n') or ''
end

-- The lane of job `id`; nil if it has no record.
local function lane_of(posts, id)
  return is_id(id) and string.match(read_head(posts .. id), '^([^\n]+)\n') or nil
end
