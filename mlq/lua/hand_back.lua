-- Puts the jobs of a worker that stops back into their lanes, so that another worker can run them at once.
-- Guarantee: only jobs whose lease the worker holds; an attempt whose listener had not begun is not counted.
-- KEYS  those of shared/lapse.lua
-- ARGV  per job: id · token · 1 if its listener had begun, else 0
-- RETURNS  per job 'ok' or 'lost'
--- include clock
--- include work
local now = clock()
local reply = {}
for i = 1, #ARGV, 3 do
  local id = ARGV[i]
  local lease = id .. ':' .. ARGV[i + 1]
  local lane = lane_of(posts, id)
  if lane and redis.call('ZSCORE', leases, lease) then
    local is_unbegun = ARGV[i + 2] == '0'
    return_to_lane(now, id, lease, lane, 'handed back', 'its worker stopped', is_unbegun)
    if is_unbegun then
      local attempt = redis.call('HGET', jobs .. id, 'attempts')
      redis.call('HDEL', jobs .. id, 'past:' .. (attempt or ''))
      redis.call('HINCRBY', jobs .. id, 'attempts', -1)
    else
      count_end(metrics, lane, 'handed back')
    end
    reply[#reply + 1] = 'ok'
  else
    reply[#reply + 1] = 'lost'
  end
end
if #todo > 0 then
  work(now)
end
return reply
