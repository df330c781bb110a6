-- Removes a job that does not run, with everything stored about it. Works on a full server, too.
-- Guarantee: afterwards its id is unknown; everybody who waits for it is notified.
-- KEYS  those of shared/lapse.lua
-- ARGV  id · the state that it must be in, or '' for any but running; a job in the list of dead letters counts as failed
--       · stamp of the job that is meant, or '' for any with that id
-- RETURNS  {'ok'} · {'gone'} · {'other'} · {'state', the state that forbids it}
--- include lapse
--- include transitions
--- include check_stamp
local id = ARGV[1]
local _, word = check_stamp(posts .. id, jobs .. id, ARGV[3])
if word then
  return {word}
end
local state = redis.pcall('HGET', jobs .. id, 'state')
state = type(state) == 'string' and state -- a key of another type counts as missing
local is_dead = redis.call('ZSCORE', dead, id)
local lane = lane_of(posts, id)
local counts_as_failed = ARGV[2] == 'failed' and is_dead
if (TRANSITIONS[state] and not after(state, 'delete')) or
  (ARGV[2] ~= '' and state ~= ARGV[2] and not counts_as_failed and (state or lane)) then
  return {'state', state or 'queued'}
end
local removed = redis.call('DEL', jobs .. id, posts .. id)
if lane then
  leave_line(lane_prefix, lanes, serves, classes, lane, id)
end
redis.call('ZREM', dead, id)
redis.call('ZREM', scheduled, id)
redis.call('DEL', streams .. id)
drop_deliveries(deliveries, delivery, id)
announce(jobs, posts, waiters, inboxes, id)
return {(removed > 0 or is_dead) and 'ok' or 'gone'}
