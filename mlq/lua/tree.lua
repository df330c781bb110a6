-- One page of a pipeline: the job that it was posted as, the jobs that this one comes after, and its steps by id.
-- KEYS  posts prefix · jobs prefix
-- ARGV  id of one of its jobs · stamp of the job that is meant, or '' for any with that id · last id of the previous page,
--       or '' to begin · most steps of this page
-- RETURNS  {'gone'} · {'other'} · {'ok', stamp, current time, steps that there are or false, succeeded, ended badly, id after
--          which the next page begins or '' at the end, rows of jobs that the root comes after, row, row, ...}. A row: {id, record
--          with nil for its message or '', field, value, ...}. The first page begins with the row of the root, and those of up
--          to 100 jobs that it comes after
--- include clock
--- include check_stamp
--- include fields
local posts, jobs = KEYS[1], KEYS[2]
--- include options
local id, above, most = ARGV[1], ARGV[3], tonumber(ARGV[4])
local stamp, word = check_stamp(posts .. id, jobs .. id, ARGV[2])
if word or not lane_of(posts, id) then
  return {word or 'gone'}
end
local part = options_of(id).part
local root = type(part) == 'table' and type(part.root) == 'string' and part.root or id
if not lane_of(posts, root) then
  root = id
end
local counts = read_fields(jobs .. root, 'steps', 'done', 'bad')
local reply = {'ok', stamp, clock(), counts[1], counts[2] or '0', counts[3] or '0', '', 0}

local NAMES = {'state', 'attempts', 'started', 'finished', 'reason', 'tail', 'cause', 'gave', 'needs', 'of'}

local function add_row(one)
  local lane, head = lane_of(posts, one), read_head(posts .. one)
  local posted, size = string.match(head, '^[^\n]*\n([^\n]*)\n(%d+)\n')
  local record = ''
  if lane and size then
    record = redis.call('GETRANGE', posts .. one, 0, #lane + #posted + #size + 2 + size) .. '\192' -- MessagePack's nil
  end
  if lane and size and size + 0 > 1000 then -- without what may be long and no tree shows: it may come after a thousand jobs
    local options = options_of(one)
    options.after, options.callback, options.webhook = nil, nil, nil
    local packed = next(options) and cmsgpack.pack(options) or '' -- an empty table would become a list
    record = lane .. '\n' .. posted .. '\n' .. #packed .. '\n' .. packed .. '\192'
  end
  local row, found = {one, record}, read_fields(jobs .. one, unpack(NAMES))
  for i, name in ipairs(NAMES) do
    if found[i] then
      row[#row + 1], row[#row + 2] = name, found[i]
    end
  end
  if found[1] == 'failed' then
    local error = read_fields(jobs .. one, 'error_type', 'error')
    row[#row + 1], row[#row + 2] = 'error_type', error[1] or ''
    row[#row + 1], row[#row + 2] = 'error', string.sub(error[2] or '', 1, 300)
  end
  reply[#reply + 1] = row
end

if above == '' then
  add_row(root)
  local needed = options_of(root).after
  for i = 1, type(needed) == 'table' and math.min(#needed, 100) or 0 do
    if type(needed[i]) == 'string' then add_row(needed[i]) end
  end
  reply[8] = #reply - 9
end
-- The range that the previous page ended in, and those after it.
local key, from = jobs .. root .. ':steps', tonumber(above) or 0
local before = redis.pcall('ZREVRANGEBYSCORE', key, from, '-inf', 'LIMIT', 0, 1)
local ranges = redis.pcall('ZRANGEBYSCORE', key, '(' .. from, '+inf', 'LIMIT', 0, most + 1)
table.insert(ranges, 1, before[1] or '')
for _, range in ipairs(ranges) do
  local first, last = string.match(range, '^(%d+)-(%d+)$')
  for number = math.max(first or 1, from + 1), last or 0 do
    if most == 0 then
      reply[7] = string.format('%d', from)
      return reply
    end
    add_row(string.format('%d', number))
    most, from = most - 1, number
  end
end
return reply
