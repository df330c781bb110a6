-- Reads the jobs around one page by page, since there may be any number of them.
--- include lapse_keys
--- include fields

local PAGE = 100

-- The parts of the split whose join is `id`, from number `from` on, up to PAGE of them. Returns also the number to go on with,
-- or nil.
local function parts_of(id, from)
  local passed, found = 0, {}
  for first, last in string.gmatch(read_fields(jobs .. id, 'parts')[1] or '', '(%d+)-(%d+)') do
    local size = last - first + 1
    while from < passed + size do
      if #found == PAGE then return found, from end
      found[#found + 1] = string.format('%d', first + from - passed)
      from = from + 1
    end
    passed = passed + size
  end
  return found
end

-- The steps of a pipeline, as `parts_of`, but from the first one above the id `from` on; and the id to go on above, or nil.
local function steps_of(id, from)
  local key, found = jobs .. id .. ':steps', {}
  local before = redis.pcall('ZREVRANGEBYSCORE', key, from, '-inf', 'LIMIT', 0, 1) -- the range that the page before ended in
  local ranges = redis.pcall('ZRANGEBYSCORE', key, '(' .. from, '+inf', 'LIMIT', 0, PAGE + 1)
  table.insert(ranges, 1, before[1] or '')
  for _, range in ipairs(ranges) do
    local first, last = string.match(range, '^(%d+)-(%d+)$')
    for number = math.max(first or 1, from + 1), last or 0 do
      if #found == PAGE then return found, found[PAGE] end
      found[#found + 1] = string.format('%d', number)
    end
  end
  return found
end

-- A page of the jobs that come after `id`, whose ids are above `from`; also the last of them if there may be more.
local function next_of(id, from)
  local found = redis.pcall('ZRANGEBYSCORE', jobs .. id .. ':next', '(' .. from, '+inf', 'LIMIT', 0, PAGE)
  return found, #found == PAGE and found[PAGE] or nil
end
