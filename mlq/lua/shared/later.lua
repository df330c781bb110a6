-- What is to be done for other jobs after the end of one: `chore` has a function for each kind of that. `work` in work.lua does
-- it, when the script has done the rest.
--- include lapse_keys

local todo, chore = {}, {}

local function later(what, id, ...)
  todo[#todo + 1] = {what, id, ...}
end

-- Call this for each job that ends: it expires no more. Has others told of its end, if there may be any.
local function tell_of_end(id, state, options)
  if options.expires then redis.call('ZREM', expiring, id) end
  local is_awaited = options.part or options.after and state == 'succeeded' or redis.call('EXISTS', jobs .. id .. ':next') == 1
  if is_awaited then later('end', id, state, options) end
end

-- Has what `id` waited for cancelled, if there is any.
local function cancel_awaited(id)
  local own = redis.call('HMGET', jobs .. id, 'tail', 'parts')
  if own[1] then later('cancel tail', id) end
  if own[2] then later('cancel parts', id) end
end
