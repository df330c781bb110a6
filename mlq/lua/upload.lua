-- Stores an uploaded listener, replacing an earlier one of its name, and notifies the workers that accept uploads.
-- Guarantee: its head and its code change together; a worker that misses the message sees the new version in the reply to
-- its next heartbeat.
-- KEYS  uploads hash · code string · uploads-version string · workers zset · worker prefix · inboxes prefix
-- ARGV  name · head · code
-- RETURNS  {'ok'}
--- include clock
--- include tell_of_uploads
local uploads, code, uploads_version = KEYS[1], KEYS[2], KEYS[3]
local workers, worker_prefix, inboxes = KEYS[4], KEYS[5], KEYS[6]
redis.call('SET', code, ARGV[3])
redis.call('HSET', uploads, ARGV[1], clock() .. ' ' .. ARGV[2])
tell_of_uploads(uploads_version, workers, worker_prefix, inboxes)
return {'ok'}
