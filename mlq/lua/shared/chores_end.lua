-- What the end of a job changes for the jobs around it.
--- include pages
--- include needs
--- include opening
--- include give
--- include expiry
--- include announce
--- include chores_needed

-- Whether job `id` did not end in `state`, or a person has requeued it since.
local function is_over(id, state)
  return state ~= 'deleted' and lane_of(posts, id) ~= nil and read_fields(jobs .. id, 'state')[1] ~= state
end

-- Counts that a step has ended, and notifies the followers of its pipeline of each further percent: there may be millions.
local function count_end_of_step(id, part, state)
  local root, what = part.root, state == 'succeeded' and 'done' or 'bad'
  if what == 'bad' and (redis.call('HEXISTS', jobs .. id, 'state') == 0 or redis.call('HSETNX', jobs .. id, 'counted', 1) == 0) then
    return -- it is deleted, or was counted before
  end
  local is_further, whole_is = count_step(root, what, 1)
  if part.tail == root and whole_is == 'succeeded' then return end -- all know of that, and it expires with its root
  if is_further then
    notify_followers(waiters, inboxes, root)
  end
  local left = whole_is and whole_is ~= 'blocked' and redis.call('PTTL', jobs .. root) or 0
  if left > 0 then
    expire(id, left / 1000) -- it ends after its root, and expires with it
  end
end

-- `options`: the job's own, from the script that ended it; nil if an earlier one did.
chore['end'] = function(now, id, state, options)
  if not options and is_over(id, state) then return end
  options = options or options_of(id)
  local part = part_of(options)
  if part.root then
    count_end_of_step(id, part, state)
  end
  if part.tail and state ~= 'succeeded' and waits_for_outcome(part.tail, id) then
    fail_blocked(now, part.tail, options_of(part.tail), id)
  end
  if part.into and needed_ended(now, part.into, id, state) then
    open_parts(now, part.into, 10)
  end
  if state == 'succeeded' then
    leave_needed(id, options)
  elseif redis.call('HEXISTS', jobs .. id, 'parts') == 1 then
    later('cancel parts', id) -- also if it had begun: a person may have requeued one of them since
  end
  if redis.call('EXISTS', jobs .. id .. ':next') == 1 then
    later('end next', id, 0, state)
  end
end

-- Those that come after `id` no longer wait for it.
chore['end next'] = function(now, id, from, state)
  if is_over(id, state) then return end
  local found, more = next_of(id, from)
  for _, other in ipairs(found) do needed_ended(now, other, id, state) end
  if more then
    later('end next', id, more, state)
  elseif state == 'deleted' then
    redis.call('DEL', jobs .. id .. ':next')
  end
  return #found
end
