-- What goes with the root of a pipeline, and with a split that does not begin.
--- include ended
--- include chores_cancel
--- include deleting

chore['delete steps'] = function(now, id, from)
  local found, more = steps_of(id, from or 0)
  for _, step in ipairs(found) do
    chore.cancel(now, step)
    delete_one(step)
  end
  if more then
    later('delete steps', id, more)
  else
    redis.call('DEL', jobs .. id .. ':steps', jobs .. id .. ':held', jobs .. id)
  end
  return #found
end

-- Has the steps of a pipeline expire after so many seconds, or if that is 0, be kept: then a person has requeued its root.
chore['expire steps'] = function(_, id, from, seconds)
  local is_kept = not ENDED[read_fields(jobs .. id, 'state')[1]]
  if is_kept ~= (seconds == 0) then return end
  local found, more = steps_of(id, from)
  for _, step in ipairs(found) do
    if is_kept then
      persist(step)
    else
      expire(step, seconds)
      redis.call('ZREM', dead, step) -- its root has ended: nothing of this can be requeued when it has expired
    end
  end
  if more then
    later('expire steps', id, more, seconds)
  elseif is_kept then
    redis.call('PERSIST', jobs .. id .. ':steps')
  else
    redis.call('EXPIRE', jobs .. id .. ':steps', math.ceil(seconds))
  end
  return #found
end

-- The parts that an attempt posted for a split that did not begin.
chore['drop plan'] = function(now, key)
  local first, last = string.match(redis.call('LINDEX', key, 0) or '', '^(%d+)-(%d+)$')
  if not first then return end
  local until_id = math.min(last + 0, first + PAGE - 1)
  for id = first, until_id do
    local part = string.format('%d', id)
    if redis.call('HEXISTS', jobs .. part, 'state') == 1 then chore.cancel(now, part) end -- a person has had it run
    delete_one(part)
  end
  if until_id < last + 0 then
    redis.call('LSET', key, 0, string.format('%d-%s', until_id + 1, last))
  else
    redis.call('LPOP', key)
  end
  later('drop plan', key)
  return until_id - first + 1
end
