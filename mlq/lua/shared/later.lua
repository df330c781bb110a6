-- What is to be done for other jobs after the end of one: `chore` has a function for each kind of that. `work` in work.lua does
-- it, when the script has done the rest.
--- include lapse_keys
--- include head

local todo, chore = {}, {}

local function later(what, id, ...)
  todo[#todo + 1] = {what, id, ...}
end

-- A job with a key (shared/unique.lua) frees it when it ends, unless it holds it for a time, and always when it is `deleted`; if it runs
-- `again`, it takes it, unless another one has. A key is one of the functions that the job names, in whatever queue it waits.
local function change_key(id, options, how)
  local functions = string.match(lane_of(posts, id) or '', '^[^:|]*:?([^|]*)')
  local entry = string.sub(posts, 1, -6) .. 'unique:' .. functions .. '\n' .. tostring(options.key)
  local held = redis.pcall('GET', entry)
  if how ~= 'again' and type(held) == 'string' and string.match(held, how and '^(%d+) %S+ [wat]$' or '^(%d+) %S+ [wa]$') == id then
    redis.call('DEL', entry)
  elseif how == 'again' and type(options.unique) ~= 'number' then
    local how = options.unique == 'waiting' and 'w' or 'a'
    redis.call('SET', entry, id .. ' ' .. stamp_in(read_head(posts .. id)) .. ' ' .. how, 'NX')
  end
end

-- Call this for each job that ends: it expires no more, and frees its key. Has others told of its end, if there may be any.
local function tell_of_end(id, state, options)
  if options.expires then redis.call('ZREM', expiring, id) end
  if options.key then change_key(id, options) end
  local is_awaited = options.part or options.after and state == 'succeeded' or redis.call('EXISTS', jobs .. id .. ':next') == 1
  if is_awaited then later('end', id, state, options) end
end

-- Has what `id` waited for cancelled, if there is any.
local function cancel_awaited(id)
  local own = redis.call('HMGET', jobs .. id, 'tail', 'parts')
  if own[1] then later('cancel tail', id) end
  if own[2] then later('cancel parts', id) end
end
