-- Puts one job that failed or was cancelled back into its lane, whatever its times: it begins at once, and never expires (`lasts`).
-- If it waits for others, those that ended badly run again
-- instead; and what failed only because of it waits for it again.
--- include lapse
--- include blocking
--- include needs
--- include opening
--- include expiry

local OUTCOME = {'token', 'progress', 'started', 'finished', 'worker', 'losses', 'shared', 'overruns', 'errors', 'reason', 'result',
  'short', 'error', 'error_type', 'error_args', 'error_state', 'error_tuples', 'traceback', 'waits_for', 'callback_outcome', 'cause', 'by'}

local function forget_outcome(id)
  if redis.call('HEXISTS', jobs .. id, 'started') == 1 then
    local run = redis.call('HMGET', jobs .. id, 'reason', 'error_type', 'error', 'traceback', 'finished')
    remember(jobs, id, run[5] or '', run[1] or '', run[2] or '', run[3] or '', run[4] or '')
  end
  redis.call('HDEL', jobs .. id, unpack(OUTCOME))
  keep(id)
  redis.call('ZREM', dead, id)
  drop_deliveries(deliveries, delivery, id)
end

-- `how`: nil if all that `id` waits for is to run again, too; 'revived' if only another job runs again because of which `id` failed;
-- 'begun' if it waited for no other any more.
local function requeue_one(now, id, lane, how)
  local options, own = options_of(id), redis.call('HMGET', jobs .. id, 'needs', 'tail')
  local part = part_of(options)
  redis.call('HSET', jobs .. id, 'state', 'queued') -- first, so that a full server refuses
  forget_outcome(id)
  if options.expires then
    redis.call('ZREM', expiring, id)
    redis.call('HSET', jobs .. id, 'lasts', 1)
  end
  if options.key then change_key(id, options, 'again') end
  if own[2] then
    block(now, id)
    later('requeue tail', id)
  elseif whole(own[1]) > 0 then
    block(now, id)
    if how ~= 'begun' then
      later('requeue after', id, 1, how)
      later('requeue parts', id)
    end
  elseif part.into and is_held(part.into, id) then
    redis.call('HDEL', jobs .. id, 'state') -- as it was
  else
    line_up(lane_prefix, lanes, serves, classes, lane, id, place_of(id, options))
  end
  if redis.call('HDEL', jobs .. id, 'counted') == 1 then
    count_step(part.root or '', 'bad', -1)
  end
  if redis.call('EXISTS', jobs .. id .. ':steps') == 1 then
    later('expire steps', id, 0, 0)
  end
  for _, other in pairs({part.tail, part.into}) do later('revive', other, id, true) end
  later('revive next', id, 0)
end
