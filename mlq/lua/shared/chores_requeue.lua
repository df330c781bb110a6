-- What runs again when a person requeues a job that waits for it.
--- include transitions
--- include pages
--- include requeueing
--- include give

local function ended_badly(id)
  local state = read_fields(jobs .. id, 'state')[1]
  return state == 'failed' or state == 'cancelled'
end

chore.requeue = function(now, id, how)
  local lane = lane_of(posts, id)
  if lane and after(redis.call('HGET', jobs .. id, 'state') or 'queued', 'requeue') then
    requeue_one(now, id, lane, how)
  end
end

-- `id` waits for `needed` again. One that is gone can never run again, and nobody must wait for it for ever.
chore['requeue needed'] = function(now, id, needed)
  if read_fields(jobs .. id, 'state')[1] ~= 'blocked' then return end
  if lane_of(posts, needed) then
    chore.requeue(now, needed)
  else
    needed_ended(now, id, needed, 'deleted')
  end
end

-- The jobs that `id` came after, from number `from` on. If `id` is only `revived`, nobody has asked that those run again which ended
-- badly for other reasons: it fails at once because of them.
chore['requeue after'] = function(now, id, from, how)
  local needed = needed_by(options_of(id))
  local last = math.min(#needed, from + PAGE - 1)
  for i = from, last do
    if how ~= 'revived' or not lane_of(posts, needed[i]) then
      chore['requeue needed'](now, id, needed[i])
    elseif ended_badly(needed[i]) then
      needed_ended(now, id, needed[i], 'failed')
    end
  end
  if last < #needed then later('requeue after', id, last + 1, how) end
  return math.max(0, last - from + 1)
end

-- A tail that has succeeded since, although its outcome was not wanted then, has kept its result.
chore['requeue tail'] = function(now, id)
  local own = read_fields(jobs .. id, 'state', 'tail')
  if own[1] ~= 'blocked' then return end
  local tail = own[2] or ''
  local got = read_fields(jobs .. tail, 'state', 'result', 'short')
  if lane_of(posts, tail) and got[1] ~= 'succeeded' then
    chore.requeue(now, tail)
  elseif got[2] then
    give(now, id, {short = got[3] or nil}, got[2])
  else
    fail_blocked(now, id, options_of(id), tail)
  end
end

chore['requeue parts'] = function(now, id, from)
  local found, more = parts_of(id, from or 0)
  for _, part in ipairs(found) do chore['requeue needed'](now, id, part) end
  if more then
    later('requeue parts', id, more)
  else
    open_parts(now, id, PAGE) -- if all that are open have succeeded, none of them will
  end
  return #found
end
