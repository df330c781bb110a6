-- Reads the options of jobs. Uses the local `posts`.
--- include head

-- The options that job `id` was posted with; `head`: of its record, if that was read. Call this before the first write: a
-- damaged record may make it fail.
local function options_of(id, head)
  head = head or is_id(id) and read_head(posts .. id) or ''
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

-- The part of a job in a pipeline: its `root`, the job that the whole pipeline was posted as; `tail`, the job that gets its outcome;
-- `into`, the join that waits for it as one part of a split. Ids only, whatever was written there.
local function part_of(options)
  local part, found = options.part, {}
  if type(part) == 'table' then
    for _, name in ipairs({'root', 'tail', 'into'}) do
      found[name] = type(part[name]) == 'string' and is_id(part[name]) and part[name] or nil
    end
  end
  return found
end

-- The jobs that one with these options came after.
local function needed_by(options)
  local found = {}
  for _, needed in ipairs(type(options.after) == 'table' and options.after or {}) do
    if type(needed) == 'string' and is_id(needed) then found[#found + 1] = needed end
  end
  return found
end
