-- Jobs that come after others. Uses the local `posts`.
--- include check_stamp
--- include fields
--- include options

-- Reads which jobs new ones come after (`after`: 'fail' or 'run', and ` id:stamp` of each): their ids, how many of them have not ended, which of them ended badly, and why that
-- is not possible, or nil: 'after id', and 'gone', 'other', 'step', or the state of that job.
local function needed_in(jobs, after)
  local needed, open, bad = {}, 0, {}
  local policy = string.match(after, '^%a+')
  for id, stamp in string.gmatch(after, ' (%d+):([%d.]*)') do
    local _, word = check_stamp(posts .. id, jobs .. id, stamp)
    local state = not word and (read_fields(jobs .. id, 'state')[1] or 'queued')
    if not word and stamp == '' and redis.call('EXISTS', posts .. id) == 0 then word = 'gone' end
    -- a step may never run by itself, and expires with its root: what comes after it would wait for ever
    if not word and options_of(id).part then word = 'step' end
    local has_failed = state == 'failed' or state == 'cancelled'
    if word or has_failed and policy == 'fail' then
      return nil, nil, nil, 'after ' .. id .. ' ' .. (word or state)
    end
    if has_failed then
      bad[#bad + 1] = id
    elseif state ~= 'succeeded' then
      open = open + 1
    end
    needed[#needed + 1] = id
  end
  return needed, open, bad
end

-- Job `id` comes after those in `needed`, `open` of which have not ended, and those in `bad` ended badly. They are kept as long
-- as it may need their results. `is_first`: of several jobs with the same needs.
local function come_after(jobs, posts, blocked, now, id, needed, open, bad, is_first)
  for _, other in ipairs(needed) do
    redis.call('ZADD', jobs .. other .. ':next', id, id)
    if is_first then
      redis.call('PERSIST', jobs .. other)
      redis.call('PERSIST', posts .. other)
    end
  end
  if open > 0 then
    redis.call('HSET', jobs .. id, 'state', 'blocked', 'needs', open)
    for _, other in ipairs(bad) do redis.call('SADD', jobs .. id .. ':bad', other) end
    redis.call('ZADD', blocked, now, id)
  end
end
