-- Records what a running listener reports.
-- Guarantee: only under the lease.
-- KEYS  leases zset · job hash
-- ARGV  `<id>:<token>` · packed value
-- RETURNS  'ok' or 'lost'
local leases, job = KEYS[1], KEYS[2]
if not redis.call('ZSCORE', leases, ARGV[1]) then
  return 'lost'
end
redis.call('HSET', job, 'progress', ARGV[2])
return 'ok'
