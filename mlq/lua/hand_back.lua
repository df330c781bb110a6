-- A worker that stops gives jobs back, so that another one starts them at once.
-- Guarantee: only under the lease; an attempt that never began does not count as a run.
-- KEYS  those of shared/lapse.lua
-- ARGV  per job: id · token · 1 if its listener had begun, else 0
-- RETURNS  per job 'ok' or 'lost'
--- include clock
--- include wake
--- include announce
--- include finish
--- include line_up
--- include lapse
local reply = {}
for i = 1, #ARGV, 3 do
  local id = ARGV[i]
  local lease = id .. ':' .. ARGV[i + 1]
  local lane = lane_of(posts, id)
  if lane and redis.call('ZSCORE', leases, lease) then
    redis.call('HINCRBY', jobs .. id, 'attempts', ARGV[i + 2] - 1)
    give_back(id, lease, lane, 'handed back')
    reply[#reply + 1] = 'ok'
  else
    reply[#reply + 1] = 'lost'
  end
end
return reply
