-- Puts a dead letter or a cancelled job back into its lane, at its old place, because a person asked.
-- Guarantee: what the failure left behind is removed, and losses, overruns and errors begin at zero; attempts do not.
-- KEYS  those of shared/lapse.lua
-- ARGV  id · stamp of the job that is meant, or '' for any with that id
-- RETURNS  {'ok', chores that are left} · {'gone'} · {'other'} · {'damaged'} for a dead letter without a readable record
--          · {'state', the state that forbids it}
--- include clock
--- include check_stamp
--- include work
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
requeue_one(clock(), id, lane)
return {'ok', work(clock())}
