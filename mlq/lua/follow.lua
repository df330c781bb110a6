-- Reads what is new in a job's stream, and if nothing is new, has an inbox notified when something is.
-- Guarantee: either the reply has something new, or the inbox gets the id as soon as there is; so nothing is missed.
-- KEYS  job hash · post string · stream · waiters set · followers string
-- ARGV  inbox's name, or '' · seconds until the caller asks again · stream entry to read after · most entries
--       · state and · progress in the previous reply · stamp of the job that is meant, or '' for any with that id
-- RETURNS  {'gone'} · {'other'} · {'ok', stamp, state, attempt, progress or '', {entry, {kind, bytes}, ...},
--          {field, value, ...} of a job that ended, of the results only the short one, up to 8,192 bytes}
--- include meant
--- include ended
--- include make_way
local job, post, stream, waiters, followers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local name, seconds, most = ARGV[1], ARGV[2], tonumber(ARGV[4])

local stamp, word = meant(post, job, ARGV[7])
if word then
  return {word}
end
local now = redis.call('HMGET', job, 'state', 'attempts', 'progress')
local state, progress = now[1] or 'queued', now[3] or ''
if not now[1] and stamp == '' and redis.call('EXISTS', post) == 0 then
  return {'gone'}
end
local entries = redis.call('XRANGE', stream, '(' .. ARGV[3], '+', 'COUNT', most)
local ended = ENDED[state]
if name ~= '' and not ended and #entries == 0 and state == ARGV[5] and progress == ARGV[6] then
  make_way(waiters, 'set')
  redis.call('SADD', waiters, name)
  redis.call('EXPIRE', waiters, seconds * 2 + 10)
  redis.call('SET', followers, '1', 'EX', seconds * 2 + 10) -- from now on, claims notify followers
end
local fields = {}
if ended and #entries < most then
  local has_short = redis.call('HEXISTS', job, 'short') == 1
  for _, field in ipairs(redis.call('HKEYS', job)) do
    -- no large results: for 40 followers of a job with 60 MB, the server copied for 10 s; they can fetch the result instead
    local is_result = field == 'short' or field == 'result'
    if not is_result or (redis.call('HSTRLEN', job, field) <= 8192 and (field == 'short' or not has_short)) then
      fields[#fields + 1], fields[#fields + 2] = field, redis.call('HGET', job, field)
    end
  end
end
return {'ok', stamp, state, now[2] or '0', progress, entries, fields}
