-- Ends attempts that exceed the time limit of a reaper (`create_reaper`): their jobs go back into their lanes, or become
-- dead letters if that has happened too often.
-- Guarantee: the attempt can record nothing from then on. Each call looks at one page of the running jobs.
-- KEYS  those of shared/lapse.lua
-- ARGV  limit in seconds · how many overruns a job may have and still run again · cursor ('0' to begin)
-- RETURNS  {next cursor ('0' at the end), id of an ended attempt, ...}
--- include clock
--- include work
local limit, allowed = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = clock()
local page = redis.call('ZSCAN', leases, ARGV[3], 'COUNT', 200)
local reply = {page[1]}
for i = 1, #page[2], 2 do
  local lease = page[2][i]
  local id = string.match(lease, '^[^:]*')
  local run = redis.pcall('HMGET', jobs .. id, 'started', 'overruns', 'attempts')
  local started = tonumber(run[1] or '') -- nil also if the key is of another type
  local lane = lane_of(posts, id)
  if started and lane and now - started > limit then
    local overruns = whole(run[2]) + 1
    redis.call('HSET', jobs .. id, 'overruns', overruns)
    tell_worker(id, lease)
    if overruns > allowed then
      make_dead_letter(now, id, lease, 'timeout', 'builtins.TimeoutError',
        'ran longer than ' .. ARGV[1] .. ' s, ' .. overruns .. ' times, the last one in attempt ' .. whole(run[3]))
    else
      return_to_lane(now, id, lease, lane, 'timeout', 'ran longer than ' .. ARGV[1] .. ' s')
    end
    count_end(metrics, lane, 'timeout')
    reply[#reply + 1] = id
  end
end
work(now)
return reply
