-- Removes a job that does not run, with everything stored about it. Works on a full server, too.
-- Guarantee: afterwards its id is unknown; everybody who waits for it is notified.
-- KEYS  those of shared/lapse.lua
-- ARGV  id · the state that it must be in, or '' for any but running; a job in the list of dead letters counts as failed
--       · stamp of the job that is meant, or '' for any with that id
-- RETURNS  {'ok', chores that are left} · {'gone'} · {'other'} · {'state', the state that forbids it} · {'needed'} if others
--       come after it that have not succeeded · {'step', its root} if it belongs to a pipeline
--- include clock
--- include check_stamp
--- include work
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
local options = options_of(id)
for _, other in ipairs(redis.pcall('ZRANGE', jobs .. id .. ':next', 0, 99)) do
  if lane_of(posts, other) then return {'needed'} end
  redis.call('ZREM', jobs .. id .. ':next', other) -- it has expired
end
if redis.call('EXISTS', jobs .. id .. ':next') == 1 then return {'needed'} end -- the next call looks at further ones
local root = part_of(options).root
if root and redis.call('EXISTS', posts .. root) == 1 and ARGV[2] ~= 'failed' then
  return {'step', root}
end
local has_steps = redis.call('EXISTS', jobs .. id .. ':steps') == 1
local removed = delete_one(id)
if has_steps then
  later('delete steps', id)
end
return {(removed or is_dead) and 'ok' or 'gone', work(clock())}
