-- What the end of a job changes for the jobs around it.
--- include pages
--- include needs
--- include opening
--- include give
--- include expiry

-- Whether job `id` did not end in `state`, or a person has requeued it since.
local function is_over(id, state)
  return state ~= 'deleted' and lane_of(posts, id) ~= nil and read_fields(jobs .. id, 'state')[1] ~= state
end

-- Notifies followers of a pipeline whenever one more percent of its steps has ended: there may be millions.
local function tell_progress(root)
  local counts = read_fields(jobs .. root, 'steps', 'done', 'bad')
  local of, ended = whole(counts[1]), whole(counts[2]) + whole(counts[3])
  if of > 0 and math.floor(100 * ended / of) > math.floor(100 * (ended - 1) / of) then
    notify_followers(waiters, inboxes, root)
  end
end

chore['end'] = function(now, id, state)
  if is_over(id, state) then return end
  local options = options_of(id)
  local part = part_of(options)
  if part.root and state == 'succeeded' then
    count_step(part.root, 'done', 1)
    tell_progress(part.root)
  elseif part.root and redis.call('HSETNX', jobs .. id, 'counted', 1) == 1 then
    count_step(part.root, 'bad', 1)
    tell_progress(part.root)
  end
  if part.tail and state ~= 'succeeded' and waits_for_outcome(part.tail, id) then
    fail_blocked(now, part.tail, options_of(part.tail), id)
  end
  if part.into then
    needed_ended(now, part.into, id, state)
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
