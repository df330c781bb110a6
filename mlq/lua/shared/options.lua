-- Reads the options of jobs. Uses the local `posts`.
--- include head

-- The options that job `id` was posted with. Call this before the first write: a damaged record may make it fail.
local function options_of(id)
  if not lane_of(posts, id) then
    return {}
  end
  local head = redis.call('GETRANGE', posts .. id, 0, 1199)
  local size, start = string.match(head, '^[^\n]+\n[^\n]+\n(%d%d?%d?%d?%d?)\n()')
  if not size or size == '0' then
    return {}
  end
  local options = redis.call('GETRANGE', posts .. id, start - 1, start + size - 2)
  local ok, read = pcall(cmsgpack.unpack, options)
  return ok and type(read) == 'table' and read or {}
end
