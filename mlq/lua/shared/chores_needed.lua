-- A cancelled job that will expire keeps none of those that it came after from expiring, unless a person requeues it.
--- include pages
--- include needs
--- include expiry

-- Does `act` to a page of the jobs that `id` came after; returns their number, and where to go on, or nil.
local function each_needed(id, from, act)
  local needed = needed_by(options_of(id))
  local last = math.min(#needed, from + PAGE - 1)
  for i = from, last do act(needed[i]) end
  return math.max(0, last - from + 1), last < #needed and last + 1 or nil
end

-- `id` was cancelled, and will expire: those that it came after may expire, too. Until then, it is told of their ends.
chore['leave needed'] = function(_, id, from, seconds)
  if read_fields(jobs .. id, 'state')[1] ~= 'cancelled' then return end
  local steps, more = each_needed(id, from, function(needed)
    if redis.call('ZSCORE', jobs .. needed .. ':next', id) then
      redis.call('SADD', jobs .. needed .. ':left', id)
      release(needed)
    end
  end)
  if more then
    later('leave needed', id, more, seconds)
  else
    expire_whole(id, seconds) -- last: when it has expired, nobody knows what it came after
  end
  return steps
end

-- A person has requeued `id`.
chore['need again'] = function(_, id, from)
  local steps, more = each_needed(id, from, function(needed)
    if redis.pcall('SREM', jobs .. needed .. ':left', id) == 1 then persist(needed) end
  end)
  if more then later('need again', id, more) end
  return steps
end

-- A job that came after `id` no longer does: `id` may expire.
chore.release = function(_, id)
  release(id)
end
