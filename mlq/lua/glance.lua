-- A job's state and progress, without its message and result.
-- KEYS  post string · job hash
-- ARGV  stamp of the job that is meant, or '' for any with that id
-- RETURNS  {'gone'} · {'other'} · {'ok', stamp, state, progress or false; of a blocked job, what shared/steps_done.lua
--          packs, or false}
--- include check_stamp
--- include steps_done
local post, job = KEYS[1], KEYS[2]
local stamp, word = check_stamp(post, job, ARGV[1])
if word then
  return {word}
end
local now = redis.call('HMGET', job, 'state', 'progress')
if not now[1] then
  return (stamp ~= '' or redis.call('EXISTS', post) == 1) and {'ok', stamp, 'queued', false} or {'gone'}
end
return {'ok', stamp, now[1], now[1] == 'blocked' and steps_done(job) or now[2]}
