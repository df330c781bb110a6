-- The jobs that another one waits for. The set `<id>:bad` has those that ended badly and that the `needs` of job `id` do not count
-- any more: each end counts once, in whatever order a person requeues jobs.
--- include blocking
--- include options
--- include fields
--- include whole

-- A job that `id` came after has ended; perhaps `id` does not wait for it any more, or has become another job since. Returns
-- whether `id` is the join of a split of which parts are held back.
local function needed_ended(now, id, needed, state)
  local own, bad = read_fields(jobs .. id, 'state', 'needs', 'tail', 'held'), jobs .. id .. ':bad'
  if not own[2] then return false end
  local waits, counts = own[1] == 'blocked' and not own[3], false
  if state == 'succeeded' then
    counts = redis.call('SREM', bad, needed) == 0
  elseif waits and options_of(id).on_failure == 'run' then
    counts = redis.call('SADD', bad, needed) == 1
  elseif waits then
    fail_blocked(now, id, options_of(id), needed)
  end
  if counts and redis.call('HINCRBY', jobs .. id, 'needs', -1) <= 0 and waits then
    unblock(id, options_of(id))
  end
  return whole(own[4]) > 0
end
