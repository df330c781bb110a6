-- Finds blocked jobs that wait for a job whose record is damaged or gone. That record named those to be told of its end, so
-- nobody else tells them. Uses the local `reaping`, which keeps the place among the blocked jobs to go on at.
--- include pages
--- include transitions
--- include lapse
--- include needs
--- include opening

-- Ends blocked job `id`, whose own record or hash is lost.
local function give_up(now, id, kind, text)
  delete_if_wrong_type(jobs .. id, 'hash')
  make_dead_letter(now, id, id .. ':', 'error', kind, text)
  redis.call('ZREM', blocked, id)
  cancel_awaited(id)
end

-- How job `needed` ended, if its end can be one that was not told: 'lost' if nothing is left of it.
local function end_of(needed)
  local state = read_fields(jobs .. needed, 'state')[1]
  if state == 'failed' or state == 'cancelled' then return state end
  if state == 'succeeded' or state == 'running' or lane_of(posts, needed) then return nil end
  return state and 'deleted' or 'lost'
end

-- Tells `id` again what it may not have been told. Of a lost job nobody knows whether it was counted, so `id` fails in any case.
local function tell_again(now, id, tail, needed, ended)
  if tail or ended == 'lost' and redis.pcall('SISMEMBER', jobs .. id .. ':bad', needed) == 0 then
    fail_blocked(now, id, options_of(id), needed)
  elseif ended ~= 'lost' and needed_ended(now, id, needed, ended) then
    open_parts(now, id, 10)
  end
end

-- A page of what `id` waits for, as `parts_of`. `own`: its state and its tail.
local function awaited_by(id, own, from)
  if own[1] ~= 'blocked' or own[2] then return {own[1] == 'blocked' and own[2] or nil} end
  if redis.call('HEXISTS', jobs .. id, 'parts') == 1 then return parts_of(id, from) end
  local all, found = needed_by(options_of(id)), {}
  for i = from + 1, math.min(#all, from + PAGE) do found[#found + 1] = all[i] end
  return found, from + PAGE < #all and from + PAGE or nil
end

-- Looks at one of the `blocked` jobs: returns the number of `looks` with those at others, and the number to go on with, or nil.
local function look_at(now, id, from, looks)
  local own = read_fields(jobs .. id, 'state', 'tail')
  local is_there = lane_of(posts, id) ~= nil
  if own[1] ~= 'blocked' and (not is_there or TRANSITIONS[own[1]]) then
    redis.call('ZREM', blocked, id)
    return looks
  end
  if not is_there then
    give_up(now, id, 'mlq.errors.Undecodable', 'the message of this job is missing or damaged')
    return looks
  end
  local found, more = awaited_by(id, own, from)
  if from == 0 and not found[1] then
    give_up(now, id, 'mlq.errors.JobLost', 'the server has lost what this job waited for')
  end
  for _, needed in ipairs(found) do
    local ended = end_of(needed)
    if ended and redis.call('HGET', jobs .. id, 'state') == 'blocked' then
      tell_again(now, id, own[2], needed, ended)
    end
  end
  return looks + #found, more
end

-- Looks at the blocked jobs from `place` on, until that took about 100 looks.
chore.look = function(now, place, from)
  local looks, at, more = 0, tonumber(place), tonumber(from)
  local ids = redis.pcall('ZRANGE', blocked, at, at + PAGE - 1)
  for _, id in ipairs(ids) do
    looks, more = look_at(now, id, more or 0, looks + 1)
    at = more and at or at + 1
    if looks >= PAGE then break end
  end
  redis.call('HSET', reaping, 'place', looks < PAGE and 0 or at, 'from', more or 0)
  return looks
end
