-- What ends with a job that failed or was cancelled: what it waited for.
--- include pages
--- include transitions
--- include cancelling

chore.cancel = function(now, id)
  if lane_of(posts, id) and after(redis.call('HGET', jobs .. id, 'state') or 'queued', 'cancel') then
    cancel_one(now, id, 'step')
  end
end

-- `id` waited for its tail when it was cancelled. Both that and the next do nothing if a person has requeued `id` since.
chore['cancel tail'] = function(now, id)
  local own = read_fields(jobs .. id, 'state', 'tail')
  if own[1] ~= 'blocked' and own[2] then chore.cancel(now, own[2]) end
end

chore['cancel parts'] = function(now, id, from)
  if read_fields(jobs .. id, 'state')[1] == 'blocked' then return end
  local found, more = parts_of(id, from or 0)
  for _, part in ipairs(found) do chore.cancel(now, part) end
  if more then later('cancel parts', id, more) end
  return #found
end
