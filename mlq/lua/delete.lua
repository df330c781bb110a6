-- Removes a job that does not run, with all that is kept of it. Works on a full server, too.
-- Guarantee: afterwards its id is unknown; whoever waits for it is told.
-- KEYS  those of shared/lapse.lua
-- ARGV  id · the state that it must be in, or '' for any but running
-- RETURNS  {'ok'} · {'gone'} · {'state', the state that forbids it}
--- include clock
--- include wake
--- include history
--- include announce
--- include finish
--- include line_up
--- include lapse
local id = ARGV[1]
local state = redis.call('HGET', jobs .. id, 'state')
local lane = lane_of(posts, id)
if state == 'running' or (ARGV[2] ~= '' and state ~= ARGV[2] and (state or lane)) then
  return {'state', state or 'queued'}
end
local removed = redis.call('DEL', jobs .. id, posts .. id)
if lane then
  leave_line(lane_stem, lanes, serves, classes, lane, id)
end
redis.call('ZREM', dead, id)
redis.call('ZREM', scheduled, id)
redis.call('DEL', streams .. id)
drop_deliveries(deliveries, delivery, id)
announce(jobs, waiters, inboxes, id)
return {removed > 0 and 'ok' or 'gone'}
