-- Puts a dead letter or a cancelled job back into its lane, at its old place, because a person asked.
-- Guarantee: what the failure left behind is removed, and losses, overruns and errors begin at zero; attempts do not.
-- KEYS  those of shared/lapse.lua
-- ARGV  id · stamp of the job that is meant, or '' for any with that id
-- RETURNS  {'ok'} · {'gone'} · {'other'} · {'damaged'} for a dead letter without a readable record
--          · {'state', the state that forbids it}
--- include lapse
--- include transitions
--- include check_stamp
local id = ARGV[1]
local _, word = check_stamp(posts .. id, jobs .. id, ARGV[2])
if word then
  return {word}
end
local lane, is_dead = lane_of(posts, id), redis.call('ZSCORE', dead, id)
if not lane then
  return {is_dead and 'damaged' or 'gone'}
end
if is_dead then
  delete_if_wrong_type(jobs .. id, 'hash')
end
local state = redis.call('HGET', jobs .. id, 'state') or (is_dead and 'failed') or 'queued'
if not after(state, 'requeue') then
  return {'state', state}
end
if redis.call('HEXISTS', jobs .. id, 'started') == 1 then
  local run = redis.call('HMGET', jobs .. id, 'reason', 'error_type', 'error', 'traceback', 'finished')
  remember(jobs, id, run[5] or '', run[1] or '', run[2] or '', run[3] or '', run[4] or '')
end
redis.call('HSET', jobs .. id, 'state', 'queued')
redis.call('HDEL', jobs .. id, 'token', 'progress', 'started', 'finished', 'worker', 'losses', 'shared', 'overruns', 'errors',
  'reason', 'result', 'short', 'error', 'error_type', 'error_args', 'error_state', 'error_tuples', 'traceback',
  'waits_for', 'callback_outcome')
redis.call('PERSIST', jobs .. id)
redis.call('PERSIST', posts .. id)
redis.call('ZREM', dead, id)
drop_deliveries(deliveries, delivery, id)
line_up(lane_prefix, lanes, serves, classes, lane, id)
return {'ok'}
