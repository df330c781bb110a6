-- Extends the leases that a worker names.
-- Guarantee: a lease that was taken away is not revived. One that expired, but was not taken away, still is the worker's.
-- KEYS  leases zset
-- ARGV  lease in seconds · `<id>:<token>` of each running attempt
-- RETURNS  the leases that the worker no longer holds
--- include clock
local leases = KEYS[1]
local deadline = string.format('%.6f', clock() + tonumber(ARGV[1]))
local scores = redis.call('ZMSCORE', leases, unpack(ARGV, 2))
local lost, pairs_ = {}, {}
for i, score in ipairs(scores) do
  local lease = ARGV[i + 1]
  if score then
    pairs_[#pairs_ + 1], pairs_[#pairs_ + 2] = deadline, lease
  else
    lost[#lost + 1] = lease
  end
end
if #pairs_ > 0 then
  redis.call('ZADD', leases, 'XX', unpack(pairs_))
end
return lost
