-- Jobs that wait for others, in the state `blocked`. The hash of such a job has: `needs`, how many jobs it still waits for; or
-- `tail`, the job whose outcome it will have.
--- include lapse_keys
--- include line_up
--- include announce
--- include finish
--- include fields
--- include part
--- include later
--- include clock

-- Puts a job that waits for no others any more into its lane, or if its time is to come, among those that wait for theirs.
local function unblock(id, options)
  local due, now = 0, 0
  if options.delay or options.at then
    local posted = tonumber(stamp_in(read_head(posts .. id))) or 0
    due, now = tonumber(options.at) or posted + (tonumber(options.delay) or 0), clock() + 0
  end
  redis.call('ZREM', blocked, id)
  if due > now and due < 1e11 then
--- include tell_of_time
    redis.call('HSET', jobs .. id, 'state', 'scheduled')
    redis.call('ZADD', scheduled, string.format('%.6f', due), id)
    tell_of_time(workers, inboxes, due, now)
  else
    redis.call('HSET', jobs .. id, 'state', 'queued')
    line_up(lane_prefix, lanes, serves, classes, lane_of(posts, id) or 'default', id, place_of(id, options))
  end
  notify_followers(waiters, inboxes, id)
end

local function block(now, id)
  redis.call('ZADD', blocked, now, id)
  redis.call('HSET', jobs .. id, 'state', 'blocked')
end

-- Ends a job that waits for others because `cause`, one of these, ended without a result. It gets the error of that job, cut.
local function fail_blocked(now, id, options, cause)
  local of = read_fields(jobs .. cause, 'state', 'cause', 'error_type', 'error', 'traceback', 'error_args', 'error_state', 'error_tuples')
  local flat = {'state', 'failed', 'finished', now, 'reason', 'step', 'cause', of[2] or cause, 'by', cause}
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
    flat[#flat + 1], flat[#flat + 2] = 'error', 'job ' .. cause .. ', which it needs, ' .. (of[1] == 'cancelled' and 'was cancelled' or 'is gone')
  end
  redis.call('HSET', jobs .. id, unpack(flat))
  redis.call('ZREM', blocked, id)
  redis.call('ZADD', dead, now, id)
  queue_deliveries(deliveries, delivery, jobs, posts, now, id, options.callback, options.webhook, 'failed', '', '0')
  announce(jobs, posts, waiters, inboxes, id)
  tell_of_end(id, 'failed', options)
end
