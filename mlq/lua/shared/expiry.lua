-- How long jobs that ended are kept: their time to live, but no less than others need their results. The set `<id>:left` has those
-- of the list `<id>:next` that were cancelled and will expire.
--- include lapse_keys
--- include later
--- include needs
--- include fields
--- include options

local function expire(id, seconds, ...)
  local expiry = string.format('%d', math.max(1, math.floor(seconds * 1000 + 0.5)))
  redis.call('PEXPIRE', posts .. id, expiry)
  for _, name in ipairs({'', ':bad', ':held', ...}) do redis.call('PEXPIRE', jobs .. id .. name, expiry) end
end

local function persist(id)
  redis.call('PERSIST', posts .. id)
  for _, name in ipairs({'', ':bad', ':held', ':next', ':left'}) do redis.call('PERSIST', jobs .. id .. name) end
end

-- Keeps job `id`, which a person requeues, and the results that it needs.
local function keep(id)
  persist(id)
  later('need again', id, 1)
end

-- Whether others come after `id`; and whether some of them may need its result.
local function has_next(id)
  local key = jobs .. id
  local there = redis.call('EXISTS', key .. ':next') == 1
  return there, there and redis.pcall('ZCARD', key .. ':next') ~= redis.pcall('SCARD', key .. ':left')
end

-- Has a job that ended expire with its pipeline, unless others need its result.
local function expire_whole(id, seconds)
  local there, is_needed = has_next(id)
  if is_needed then return end
  expire(id, seconds, unpack(there and {':next', ':left'} or {}))
  if redis.call('EXISTS', jobs .. id .. ':steps') == 1 then
    later('expire steps', id, 0, seconds)
  end
end

-- As `expire_whole`, after the job's time to live.
local function let_expire(id, options)
  local seconds = tonumber(options.ttl)
  if not seconds or seconds <= 0 or seconds >= 1e10 then return end
  if options.after and read_fields(jobs .. id, 'state')[1] == 'cancelled' then
    local _, is_needed = has_next(id)
    if not is_needed then later('leave needed', id, 1, seconds) end
  else
    expire_whole(id, seconds)
  end
end

-- One of those that need the result of job `id` no longer does.
local function release(id)
  local state = read_fields(jobs .. id, 'state')[1]
  if state == 'succeeded' or state == 'cancelled' then let_expire(id, options_of(id)) end
end

-- `id` no longer needs the results of the jobs that it came after: they may expire.
local function leave_needed(id, options)
  for _, needed in ipairs(needed_by(options)) do
    if redis.pcall('ZREM', jobs .. needed .. ':next', id) == 1 then
      redis.pcall('SREM', jobs .. needed .. ':left', id)
      release(needed)
    end
  end
end
