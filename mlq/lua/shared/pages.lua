-- Reads the jobs around one page by page, since there may be any number of them.
--- include lapse_keys
--- include fields
--- include whole

local PAGE = 100

-- The parts of the split whose join is `id`, from number `from` on, up to PAGE of those that are open. Returns also the
-- number to go on with, or nil.
local function parts_of(id, from)
  local own = read_fields(jobs .. id, 'parts', 'of', 'held')
  local open, passed, found = whole(own[2]) - whole(own[3]), 0, {}
  for first, last in string.gmatch(own[1] or '', '(%d+)-(%d+)') do
    local size = last - first + 1
    while from < math.min(passed + size, open) and #found < PAGE do
      found[#found + 1] = string.format('%d', first + from - passed)
      from = from + 1
    end
    passed = passed + size
  end
  return found, from < math.min(passed, open) and from or nil
end

-- The steps of a pipeline, as `parts_of`.
local function steps_of(id, from)
  local found, passed = {}, 0
  for _, range in ipairs(redis.pcall('ZRANGE', jobs .. id .. ':steps', 0, -1)) do
    local first, last = string.match(range, '^(%d+)-(%d+)$')
    local size = last - first + 1
    while from < passed + size and #found < PAGE do
      found[#found + 1] = string.format('%d', first + from - passed)
      from = from + 1
    end
    passed = passed + size
  end
  return found, from < passed and from or nil
end

-- A page of the jobs that come after `id`, whose ids are above `from`; also the last of them if there may be more.
local function next_of(id, from)
  local found = redis.pcall('ZRANGEBYSCORE', jobs .. id .. ':next', '(' .. from, '+inf', 'LIMIT', 0, PAGE)
  return found, #found == PAGE and found[PAGE] or nil
end
