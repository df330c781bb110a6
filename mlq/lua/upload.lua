-- Keeps an uploaded listener, in place of an earlier one of its name, and tells the workers that accept uploads.
-- Guarantee: its head and its code change together; a worker that does not hear of it sees the new version in the answer
-- to its next sign of life.
-- KEYS  uploads hash · code string · uploads-version string · workers zset · worker stem · inboxes stem
-- ARGV  name · head · code
-- RETURNS  {'ok'}
--- include clock
--- include tell_of_uploads
local uploads, code, uploads_version = KEYS[1], KEYS[2], KEYS[3]
local workers, worker_stem, inboxes = KEYS[4], KEYS[5], KEYS[6]
redis.call('SET', code, ARGV[3])
redis.call('HSET', uploads, ARGV[1], clock() .. ' ' .. ARGV[2])
tell_of_uploads(uploads_version, workers, worker_stem, inboxes)
return {'ok'}
