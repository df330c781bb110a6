-- Decides what becomes of a job whose attempt was lost with its worker or child. Takes the keys of lapse.lua.
--- include whole
--- include lapse

-- Has a job run as the only attempt in its process, as soon as a worker can arrange that (claim_apart.lua). Until then the
-- job is scheduled at 1e11 plus the current time, which is a time that never comes.
local function set_apart(now, id, lease, reason, text)
  remember(jobs, id, now, reason, '', text, '')
  schedule(id, lease, now + 1e11, reason)
end

-- Call this for an attempt that was lost with its worker or child, together with `beside` others, each of which may have
-- been the cause. Only a loss alone counts against the job, and more than `allowed` of those make it a dead letter. After
-- a loss with others, it runs again as usual twice (a machine that is switched off must not make its jobs run one by one),
-- and from then on apart, so that the job that kills its process is lost alone. After 20 losses with others every loss
-- counts, since a job may kill only when others run beside it. If `allowed` is 0, every loss counts: the user wants at
-- most one run.
local function lose(now, id, lease, lane, reason, allowed, what, beside)
  charge(now, id, lane)
  local run = redis.call('HMGET', jobs .. id, 'waits_for', 'shared')
  local shared = whole(run[2])
  if beside > 0 and allowed > 0 and run[1] then
    return return_to_lane(now, id, lease, lane, reason, what .. ' while it waited for another job')
  elseif beside > 0 and allowed > 0 and shared < 20 then
    shared = shared + 1
    redis.call('HSET', jobs .. id, 'shared', shared)
    what = what .. ', together with ' .. beside .. ' other ' .. (beside == 1 and 'job' or 'jobs')
  else
    local losses = whole(redis.call('HGET', jobs .. id, 'losses')) + 1
    redis.call('HSET', jobs .. id, 'losses', losses)
    if losses > allowed then
      return make_dead_letter(now, id, lease, reason, 'mlq.errors.LeaseLost', what .. ' in ' .. losses .. ' attempts, the last one on ' ..
        (redis.call('HGET', jobs .. id, 'worker') or 'an unknown worker'))
    elseif losses > 1 then
      return set_apart(now, id, lease, reason, what)
    end
  end
  if shared > 2 then
    set_apart(now, id, lease, reason, what)
  else
    return_to_lane(now, id, lease, lane, reason, what)
  end
end
