-- Reads what a job has said since an entry of its stream, and asks to be told when there is more.
-- Guarantee: either the reply holds something new, or the inbox gets the id when there is; so nothing is missed. The inbox
-- gets it at once where the asker need not wait, since it has already sent the command that does.
-- KEYS  job hash · post string · stream · waiters set · inbox list
-- ARGV  id · inbox's name, or '' · seconds until the asker will ask again · entry to go on after · most entries
--       · 1 if the inbox serves this question alone (what an earlier one left in it goes)
--       · state and · progress that the asker knows, as told the last time
-- RETURNS  {'gone'} · {'ok', state, attempt, progress or '', {entry, {kind, bytes}, ...}, {field, value, ...} of an end}
local job, post, stream, waiters, inbox = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, name, most = ARGV[1], ARGV[2], tonumber(ARGV[5])

local now = redis.call('HMGET', job, 'state', 'attempts', 'progress')
local state, progress = now[1] or 'queued', now[3] or ''
local gone = not now[1] and redis.call('EXISTS', post) == 0
local entries = redis.call('XRANGE', stream, '(' .. ARGV[4], '+', 'COUNT', most)
local ended = state == 'succeeded' or state == 'failed' or state == 'cancelled'
local news = gone or ended or #entries > 0 or state ~= ARGV[7] or progress ~= ARGV[8]
if name ~= '' then
  if news then
    redis.call('RPUSH', inbox, id) -- first, so that a full server refuses
    redis.call('EXPIRE', inbox, 60)
  else
    redis.call('SADD', waiters, name)
    redis.call('EXPIRE', waiters, ARGV[3] * 2 + 10)
  end
  if ARGV[6] == '1' then
    redis.call('LTRIM', inbox, news and -1 or 1, news and -1 or 0)
  end
end
if gone then
  return {'gone'}
end
return {'ok', state, now[2] or '0', progress, entries, ended and #entries < most and redis.call('HGETALL', job) or {}}
