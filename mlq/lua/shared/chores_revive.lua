-- What waits again when a person requeues a job that it waits for.
--- include pages
--- include fields
--- include whole
--- include chores_requeue

-- `needed` runs again. A job that came after it waits for it, if it failed because of that one. If `needed` is a step that runs only
-- for `id` (`is_step`), `id` waits for it however it ended: nothing runs for nobody.
chore.revive = function(now, id, needed, is_step)
  local own = read_fields(jobs .. id, 'by', 'needs')
  local is_counted = own[2] and redis.call('SREM', jobs .. id .. ':bad', needed) == 1
  if is_counted then
    redis.call('HINCRBY', jobs .. id, 'needs', 1)
  end
  if is_counted and is_step and whole(own[2]) == 0 then -- it had run, or was about to, with how the others ended
    chore.requeue(now, id, 'begun')
    chore['requeue needed'](now, id, needed)
  elseif is_step or own[1] == needed then
    chore.requeue(now, id, 'revived')
  end
end

-- If `id` has ended badly again, those that wait have been told of that end.
chore['revive next'] = function(now, id, from)
  if ended_badly(id) then return end
  local found, more = next_of(id, from)
  for _, other in ipairs(found) do chore.revive(now, other, id) end
  if more then later('revive next', id, more) end
  return #found
end
