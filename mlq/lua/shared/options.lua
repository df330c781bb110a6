-- Reads the options of jobs. Uses the local `posts`.
--- include head

-- The options that job `id` was posted with. Call this before the first write: a damaged record may make it fail.
local function options_of(id)
  local head = is_id(id) and read_head(posts .. id) or ''
  local size, start = string.match(head, '^[^\n]+\n[^\n]+\n(%d%d?%d?%d?%d?)\n()')
  if not size or size == '0' then
    return {}
  end
  local past = start + size
  local options = past <= #head + 1 and string.sub(head, start, past - 1)
    or redis.call('GETRANGE', posts .. id, start - 1, past - 2) -- rarely: they are longer than what was read
  local ok, read = pcall(cmsgpack.unpack, options)
  return ok and type(read) == 'table' and read or {}
end
