-- What becomes of a job whose attempt was lost with its worker or child. Needs all that lapse.lua does, and that.
--- include lapse

-- Has a job run as the only attempt in its process, as soon as a worker can see to that (claim_apart.lua). Until then it
-- is among the scheduled ones, at 1e11 and the time since when it waits: a time that never comes.
local function set_apart(now, id, lease, reason, text)
  remember(jobs, id, now, reason, '', text, '')
  put_off(id, lease, now + 1e11, reason)
end

-- An attempt was lost with its worker or child, and `beside` others with it, each of which may have been the cause. Only
-- a loss alone is the job's own, and more than `allowed` of those end it. A loss beside others costs it time: twice it runs
-- again as usual (a machine that is turned off must not make its jobs run one by one), from then on apart, where the one
-- that kills is lost alone. Nothing is free for ever: after 20 such losses (of one that kills only beside others) all count.
-- With none allowed, every loss counts: somebody wants one run at most.
local function lose(now, id, lease, lane, reason, allowed, what, beside)
  local run = redis.call('HMGET', jobs .. id, 'waits_for', 'shared')
  local shared = whole(run[2])
  if beside > 0 and allowed > 0 and run[1] then
    return give_back(now, id, lease, lane, reason, what .. ' while it waited for another job')
  elseif beside > 0 and allowed > 0 and shared < 20 then
    shared = shared + 1
    redis.call('HSET', jobs .. id, 'shared', shared)
    what = what .. ', together with ' .. beside .. ' other ' .. (beside == 1 and 'job' or 'jobs')
  else
    local losses = whole(redis.call('HGET', jobs .. id, 'losses')) + 1
    redis.call('HSET', jobs .. id, 'losses', losses)
    if losses > allowed then
      return bury(now, id, lease, reason, 'mlq.errors.LeaseLost', what .. ' in ' .. losses .. ' attempts, the last one on ' ..
        (redis.call('HGET', jobs .. id, 'worker') or 'an unknown worker'))
    elseif losses > 1 then
      return set_apart(now, id, lease, reason, what)
    end
  end
  if shared > 2 then
    set_apart(now, id, lease, reason, what)
  else
    give_back(now, id, lease, lane, reason, what)
  end
end
