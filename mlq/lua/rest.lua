-- Notes that a running attempt does nothing but wait for other jobs, so that it can't be what ends its process.
-- Guarantee: nothing is written unless the lease is held; the next loss, end or `waits_no_more` removes the note.
-- KEYS  leases · job
-- ARGV  lease
-- RETURNS  nothing
--- include delete_if_wrong_type
local leases, job = KEYS[1], KEYS[2]
if redis.call('ZSCORE', leases, ARGV[1]) then
  delete_if_wrong_type(job, 'hash')
  redis.call('HSET', job, 'waits_for', '0') -- no job has this id
end
