-- Records the progress, chunks and logs of a running job.
-- Guarantee: only under the lease; entries that are sent again are stored once. Followers of the job are notified.
-- KEYS  leases zset · job hash · stream · waiters prefix · inboxes prefix · stream of the chunks, which is the job's own or
--       that of the job that gets its outcome
-- ARGV  `<id>:<token>` · id · attempt · packed progress, or '' for none · seconds that the stream is kept · id of the job
--       whose stream gets the chunks · the attempt as which they count there · then per entry: number (rising within the
--       attempt) · kind · bytes
-- RETURNS  'ok' or 'lost'
--- include announce
--- include delete_if_wrong_type
local leases, job, stream, waiters, inboxes, chunks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, attempt, progress, whose, counts_as = ARGV[2], ARGV[3], ARGV[4], ARGV[6], ARGV[7]
if not redis.call('ZSCORE', leases, ARGV[1]) then
  return 'lost'
end
delete_if_wrong_type(job, 'hash')
delete_if_wrong_type(stream, 'stream')
delete_if_wrong_type(chunks, 'stream')
if progress ~= '' then
  redis.call('HSET', job, 'progress', progress)
end
local has_chunks = false
for i = 8, #ARGV, 3 do
  local is_chunk = whose ~= id and ARGV[i + 1] == 'chunk'
  local number = (is_chunk and counts_as or attempt) .. '-' .. ARGV[i]
  local added = redis.pcall('XADD', is_chunk and chunks or stream, number, ARGV[i + 1], ARGV[i + 2])
  has_chunks = has_chunks or is_chunk
  if type(added) == 'table' and added.err and not string.find(added.err, 'equal or smaller', 1, true) then
    return added
  end
end
if #ARGV >= 8 then
  redis.call('EXPIRE', stream, ARGV[5])
end
if has_chunks then
  redis.call('EXPIRE', chunks, ARGV[5])
  notify_followers(waiters, inboxes, whose)
end
notify_followers(waiters, inboxes, id)
return 'ok'
