-- Records the progress, chunks and logs of a running job.
-- Guarantee: only under the lease; entries that are sent again are stored once. Followers of the job are notified.
-- KEYS  leases zset · job hash · stream · waiters prefix · inboxes prefix
-- ARGV  `<id>:<token>` · id · attempt · packed progress, or '' for none · seconds that the stream is kept
--       · then per entry: number (rising within the attempt) · kind · bytes
-- RETURNS  'ok' or 'lost'
--- include announce
--- include delete_if_wrong_type
local leases, job, stream, waiters, inboxes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, attempt, progress = ARGV[2], ARGV[3], ARGV[4]
if not redis.call('ZSCORE', leases, ARGV[1]) then
  return 'lost'
end
delete_if_wrong_type(job, 'hash')
delete_if_wrong_type(stream, 'stream')
if progress ~= '' then
  redis.call('HSET', job, 'progress', progress)
end
for i = 6, #ARGV, 3 do
  local added = redis.pcall('XADD', stream, attempt .. '-' .. ARGV[i], ARGV[i + 1], ARGV[i + 2])
  if type(added) == 'table' and added.err and not string.find(added.err, 'equal or smaller', 1, true) then
    return added
  end
end
if #ARGV >= 6 then
  redis.call('EXPIRE', stream, ARGV[5])
end
notify_followers(waiters, inboxes, id)
return 'ok'
