-- What the end of a job changes for the jobs around it.
--- include pages
--- include needs
--- include opening
--- include give
--- include expiry
--- include announce

-- Whether job `id` did not end in `state`, or a person has requeued it since.
local function is_over(id, state)
  return state ~= 'deleted' and lane_of(posts, id) ~= nil and read_fields(jobs .. id, 'state')[1] ~= state
end

-- Counts that a step has ended, and notifies the followers of its pipeline of each further percent: there may be millions.
local function count_end_of_step(id, part, state)
  local is_further
  if state == 'succeeded' then
    is_further = count_step(part.root, 'done', 1) and part.tail ~= part.root -- else the whole has ended, and all know
  else
    local is_new = redis.call('HEXISTS', jobs .. id, 'state') == 1 and redis.call('HSETNX', jobs .. id, 'counted', 1) == 1
    is_further = is_new and count_step(part.root, 'bad', 1)
  end
  if is_further then
    notify_followers(waiters, inboxes, part.root)
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
    open_next(now, part.into)
  end
  if state == 'succeeded' then
    leave_needed(id, options)
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
