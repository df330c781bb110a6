-- Jobs that come after others. Uses the local `posts`.
--- include check_stamp
--- include fields
--- include options

-- Reads which jobs new ones come after (`after`: 'fail' or 'run', and ` id:stamp` of each): the `ids` of all, of those that have
-- `ended`, and of those that ended `bad`ly; how many are `open`; and why that is not possible, or nil: 'after id', and 'gone',
-- 'other', 'step', or the state of that job. A post may name a thousand, so each is read once.
local function needed_in(jobs, after)
  local needs, policy = {ids = {}, ended = {}, bad = {}, open = 0}, string.match(after, '^%a+')
  for id, stamp in string.gmatch(after, ' (%d+):([%d.]*)') do
    local head = read_head(posts .. id)
    local _, word = check_stamp(posts .. id, jobs .. id, stamp, head)
    local state = not word and (read_fields(jobs .. id, 'state')[1] or 'queued')
    if not word and head == '' and stamp == '' then word = 'gone' end
    -- a step may never run by itself, and expires with its root: what comes after it would wait for ever
    if not word and options_of(id, head).part then word = 'step' end
    local has_failed = state == 'failed' or state == 'cancelled'
    if word or has_failed and policy == 'fail' then
      return nil, 'after ' .. id .. ' ' .. (word or state)
    end
    needs.ids[#needs.ids + 1] = id
    if has_failed then needs.bad[#needs.bad + 1] = id end
    if has_failed or state == 'succeeded' then
      needs.ended[#needs.ended + 1] = id
    else
      needs.open = needs.open + 1
    end
  end
  return needs
end

-- Job `id` comes after those in `needs.ids`. These are kept as long as it may need their results; only what has ended may expire.
-- `is_first`: of several jobs with the same needs.
local function come_after(jobs, posts, blocked, now, id, needs, is_first)
  for _, other in ipairs(needs.ids) do redis.call('ZADD', jobs .. other .. ':next', id, id) end
  for _, other in ipairs(is_first and needs.ended or {}) do
    for _, name in ipairs({jobs .. other, posts .. other, jobs .. other .. ':next', jobs .. other .. ':left'}) do
      redis.call('PERSIST', name)
    end
  end
  if needs.open > 0 then
    redis.call('HSET', jobs .. id, 'state', 'blocked', 'needs', needs.open)
    for _, other in ipairs(needs.bad) do redis.call('SADD', jobs .. id .. ':bad', other) end
    redis.call('ZADD', blocked, now, id)
  end
end
