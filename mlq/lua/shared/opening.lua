-- Opens the parts of a split, one after the other: no more of them wait in their lane or run at a time than `at_once`.
--- include needs
--- include part
--- include line_up
--- include head
--- include later
--- include fields
--- include options

-- Whether part `id` is not open yet: parts are opened in the order of their ids.
local function is_held(join, id)
  local first = string.match(redis.call('LINDEX', jobs .. join .. ':held', 0) or '', '^(%d+)-')
  return first ~= nil and id + 0 >= first + 0
end

-- Puts the next part of a split into its lane, if some are held back and fewer are open than may be; returns whether it has.
local function open_next(now, join)
  local own = read_fields(jobs .. join, 'state', 'held', 'needs', 'at_once')
  local open = whole(own[3]) - whole(own[2])
  if own[1] ~= 'blocked' or whole(own[2]) == 0 or open >= math.max(1, whole(own[4])) then return false end
  local first, last = string.match(redis.call('LINDEX', jobs .. join .. ':held', 0) or '', '^(%d+)-(%d+)$')
  if not first then return false end
  redis.call('HINCRBY', jobs .. join, 'held', -1)
  if first == last then
    redis.call('LPOP', jobs .. join .. ':held')
  else
    redis.call('LSET', jobs .. join .. ':held', 0, string.format('%d-%s', first + 1, last))
  end
  local lane = lane_of(posts, first)
  if not lane then
    needed_ended(now, join, first, 'deleted')
  elseif redis.call('HEXISTS', jobs .. first, 'state') == 0 then
    line_up(lane_prefix, lanes, serves, classes, lane, first, place_of(first, options_of(first)))
  elseif redis.call('SISMEMBER', jobs .. join .. ':bad', first) == 0 then
    later('requeue needed', join, first) -- a person cancelled it before it was open, and has requeued the split since
  end
  return true
end

-- Opens as many parts as may be open, up to `most`: usually one, for one that has ended.
local function open_parts(now, join, most)
  for _ = 1, most do
    if not open_next(now, join) then return end
  end
end
