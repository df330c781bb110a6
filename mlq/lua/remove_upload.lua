-- Removes an uploaded listener, and notifies the workers that accept uploads.
-- Guarantee: as in upload.lua; works on a full server, too, since it deletes first.
-- KEYS  uploads hash · code string · uploads-version string · workers zset · worker prefix · inboxes prefix
-- ARGV  name
-- RETURNS  {'ok'} · {'gone'} if there was none
--- include tell_of_uploads
local uploads, code, uploads_version = KEYS[1], KEYS[2], KEYS[3]
local workers, worker_prefix, inboxes = KEYS[4], KEYS[5], KEYS[6]
if redis.call('HDEL', uploads, ARGV[1]) == 0 then
  return {'gone'}
end
redis.call('DEL', code)
tell_of_uploads(uploads_version, workers, worker_prefix, inboxes)
return {'ok'}
