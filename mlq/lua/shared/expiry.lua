-- How long jobs that ended are kept: their time to live, but no less than others need their results.
--- include lapse_keys
--- include later
--- include needs
--- include fields
--- include options

local function expire(id, seconds)
  local expiry = string.format('%d', math.max(1, math.floor(seconds * 1000 + 0.5)))
  redis.call('PEXPIRE', jobs .. id, expiry)
  redis.call('PEXPIRE', posts .. id, expiry)
  redis.call('PEXPIRE', jobs .. id .. ':bad', expiry)
  redis.call('PEXPIRE', jobs .. id .. ':held', expiry)
end

local function keep(id)
  for _, name in ipairs({jobs .. id, posts .. id, jobs .. id .. ':bad', jobs .. id .. ':held'}) do redis.call('PERSIST', name) end
end

-- Has a job that ended expire after its time to live, unless others need its result; then its pipeline expires with it.
local function let_expire(id, ttl)
  local seconds = tonumber(ttl)
  if seconds and seconds > 0 and seconds < 1e10 and redis.call('EXISTS', jobs .. id .. ':next') == 0 then
    expire(id, seconds)
    if redis.call('EXISTS', jobs .. id .. ':steps') == 1 then
      later('expire steps', id, 0, seconds)
    end
  end
end

-- `id` no longer needs the results of the jobs that it came after: they may expire.
local function leave_needed(id, options)
  for _, needed in ipairs(needed_by(options)) do
    if redis.pcall('ZREM', jobs .. needed .. ':next', id) == 1 then
      local state = read_fields(jobs .. needed, 'state')[1]
      if state == 'succeeded' or state == 'cancelled' then let_expire(needed, options_of(needed).ttl) end
    end
  end
end
