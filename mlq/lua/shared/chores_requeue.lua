-- What runs again, or waits again, when a person requeues a job.
--- include ended
--- include transitions
--- include pages
--- include requeueing
--- include give

chore.requeue = function(now, id)
  local lane = lane_of(posts, id)
  if lane and after(redis.call('HGET', jobs .. id, 'state') or 'queued', 'requeue') then
    requeue_one(now, id, lane)
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

-- The jobs that `id` came after, from number `from` on.
chore['requeue after'] = function(now, id, from)
  local needed = needed_by(options_of(id))
  local last = math.min(#needed, from + PAGE - 1)
  for i = from, last do chore['requeue needed'](now, id, needed[i]) end
  if last < #needed then later('requeue after', id, last + 1) end
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

-- `needed` runs again: `id` waits for it, if it failed because of it or counted it as ended. If `needed` is a step that runs only
-- for `id` (`is_step`), `id` waits for it also if a person has cancelled it: nothing runs for nobody.
chore.revive = function(now, id, needed, is_step)
  local own = read_fields(jobs .. id, 'state', 'reason')
  if own[1] and redis.call('SREM', jobs .. id .. ':bad', needed) == 1 then
    redis.call('HINCRBY', jobs .. id, 'needs', 1)
  end
  if own[2] == 'step' or is_step and own[1] == 'cancelled' then
    chore.requeue(now, id)
  end
end

chore['revive next'] = function(now, id, from)
  if ENDED[read_fields(jobs .. id, 'state')[1]] then return end -- those that wait have been told of that end
  local found, more = next_of(id, from)
  for _, other in ipairs(found) do chore.revive(now, other, id) end
  if more then later('revive next', id, more) end
  return #found
end
