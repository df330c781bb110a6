-- Cancels a job that has not ended: takes it out of its lane, or from the worker that runs it, and notifies that worker.
-- Guarantee: the job does not run unless a person requeues it, and nothing more is accepted from its attempt. Cancelling
-- twice has the same effect as once.
-- KEYS  those of shared/lapse.lua
-- ARGV  id · stamp of the job that is meant, or '' for any with that id
-- RETURNS  {'ok', chores that are left} · {'gone'} · {'other'} · {'state', the state that forbids it}
--- include clock
--- include check_stamp
--- include work
local id = ARGV[1]
local _, word = check_stamp(posts .. id, jobs .. id, ARGV[2])
if word then
  return {word}
end
local lane = lane_of(posts, id)
if not lane then
  return {'gone'}
end
local state = redis.call('HGET', jobs .. id, 'state') or 'queued'
if state == 'cancelled' then
  return {'ok'}
end
if not after(state, 'cancel') then
  return {'state', state}
end
cancel_one(clock(), id, 'cancelled')
return {'ok', work(clock())}
