-- Lists the jobs that wait to run apart and may begin, longest wait first, and says whether it is the worker's turn to pause claiming
-- until it can run one of them.
-- Guarantee: one worker at a time has the turn, until it gives it back or the turn expires.
-- KEYS  scheduled zset · posts prefix · jobs prefix · turn string · class prefix · gates string
-- ARGV  worker · seconds for which it wants the turn, or 0 to give it back
-- RETURNS  {1 if the worker has the turn, else 0, id, lane, times that the job was lost with others, id, ...}
--- include head
--- include wake
local scheduled, posts, jobs, turn, classes, gates = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local worker, seconds = ARGV[1], tonumber(ARGV[2])
local reply = {0}
if redis.call('EXISTS', gates) == 1 then
--- include gating
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', scheduled, 1e11, '+inf', 'LIMIT', 0, 500)) do
  local lane = lane_of(posts, id)
  if lane and gating and gating.closed_one(gating.gates_of(lane)) then
    -- it can't run now, so nobody makes room for it
  elseif lane then
    reply[#reply + 1], reply[#reply + 2] = id, lane
    reply[#reply + 1] = whole(redis.pcall('HGET', jobs .. id, 'shared'))
  else
    redis.call('ZREM', scheduled, id) -- its record is gone
  end
end
local holder = redis.call('GET', turn)
if seconds > 0 and #reply > 1 and (not holder or holder == worker) then
  redis.call('SET', turn, worker, 'PX', seconds * 1000)
  reply[1] = 1
elseif holder == worker then
  redis.call('DEL', turn)
end
return reply
