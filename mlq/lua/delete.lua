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
  redis.pcall('SREM', jobs .. id .. ':left', other)
end
if redis.call('EXISTS', jobs .. id .. ':next') == 1 then return {'needed'} end -- the next call looks at further ones
local root, now = part_of(options).root, clock()
if root and redis.call('EXISTS', posts .. root) == 1 and ARGV[2] ~= 'failed' then
  return {'step', root}
end
local has_steps = redis.call('EXISTS', jobs .. id .. ':steps') == 1
if root and is_dead then
  redis.call('ZREM', dead, id) -- first, so that a full server does the rest
  pcall(chore['end'], now, id, 'failed', options) -- if that is still to be done, it is the last chance; twice does no harm
end
local removed = delete_one(id)
if has_steps then
  later('delete steps', id)
end
return {(removed or is_dead) and 'ok' or 'gone', work(now)}
