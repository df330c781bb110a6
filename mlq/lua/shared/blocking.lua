-- Jobs that wait for others, in the state `blocked`. The hash of such a job has: `needs`, how many jobs it still waits for; or
-- `tail`, the job whose outcome it will have.
--- include lapse_keys
--- include line_up
--- include announce
--- include finish
--- include fields
--- include part
--- include later

-- Puts a job into its lane that waits for no others any more.
local function unblock(id, options)
  redis.call('ZREM', blocked, id)
  redis.call('HSET', jobs .. id, 'state', 'queued')
  line_up(lane_prefix, lanes, serves, classes, lane_of(posts, id) or 'default', id, place_of(id, options))
  notify_followers(waiters, inboxes, id)
end

local function block(now, id)
  redis.call('ZADD', blocked, now, id)
  redis.call('HSET', jobs .. id, 'state', 'blocked')
end

-- Ends a job that waits for others because `cause`, one of these, ended without a result. It gets the error of that job, cut.
local function fail_blocked(now, id, options, cause)
  local of = read_fields(jobs .. cause, 'state', 'cause', 'error_type', 'error', 'traceback', 'error_args', 'error_state', 'error_tuples')
  local flat = {'state', 'failed', 'finished', now, 'reason', 'step', 'cause', of[2] or cause}
  if of[1] == 'failed' then
    -- any number of jobs may get a copy, so it is short: the whole is with the job that failed
    local is_short = #(of[6] or '') + #(of[7] or '') + #(of[8] or '') <= 1000
    for i, name in ipairs({'error_type', 'error', 'traceback', 'error_args', 'error_state', 'error_tuples'}) do
      if of[i + 2] and (i <= 3 or is_short) then
        flat[#flat + 1], flat[#flat + 2] = name, i == 3 and string.sub(of[i + 2], -2000) or string.sub(of[i + 2], 1, 1000)
      end
    end
  else
    flat[#flat + 1], flat[#flat + 2] = 'error_type', 'mlq.errors.JobCancelled'
    flat[#flat + 1], flat[#flat + 2] = 'error', 'job ' .. cause .. ', which it needs, was ' .. (of[1] and 'cancelled' or 'deleted')
  end
  redis.call('HSET', jobs .. id, unpack(flat))
  redis.call('ZREM', blocked, id)
  redis.call('ZADD', dead, now, id)
  queue_deliveries(deliveries, delivery, jobs, posts, now, id, options.callback, options.webhook, 'failed', '', '0')
  announce(jobs, posts, waiters, inboxes, id)
  later('end', id, 'failed', options)
  later('cancel parts', id)
end
