-- Reads what is new in a job's stream, and if nothing is new, has an inbox notified when something is.
-- Guarantee: either the reply has something new, or the inbox gets the id as soon as there is; so nothing is missed.
-- KEYS  job hash · post string · stream · waiters set · followers string
-- ARGV  inbox's name, or '' · seconds until the caller asks again · stream entry to read after · most entries
--       · state and · progress in the previous reply · stamp of the job that is meant, or '' for any with that id
--       · 0 to leave out the bytes of entries that are larger than 64 KiB, else 1
-- RETURNS  {'gone'} · {'other'} · {'ok', stamp, state, attempt, progress or '', {entry, {kind, bytes, how many}, ...},
--          {field, value, ...} of a job that ended, with the last entries; of the results only the short one, up to 8,192 bytes}
--- include check_stamp
--- include ended
--- include steps_done
--- include delete_if_wrong_type
local job, post, stream, waiters, followers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local name, seconds, most = ARGV[1], ARGV[2], tonumber(ARGV[4])

local stamp, word = check_stamp(post, job, ARGV[7])
if word then
  return {word}
end
local now = redis.call('HMGET', job, 'state', 'attempts', 'progress')
local state = now[1] or 'queued'
local progress = state == 'blocked' and steps_done(job) or now[3] or ''
if #progress > 65536 then -- no client of ours reports so much; thousands may follow
  progress = ''
end
if not now[1] and stamp == '' and redis.call('EXISTS', post) == 0 then
  return {'gone'}
end
-- One at a time, up to 64 KiB: a stream may hold 64 MiB, and many may follow it.
local entries, size, last = {}, 0, ARGV[3]
repeat
  local entry = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)[1]
  if entry then
    local kind, data = entry[2][1], entry[2][2] or ''
    local left_out = ARGV[8] == '0' and #data > 65536
    entries[#entries + 1] = {entry[1], {kind, left_out and '' or data, #data}}
    last, size = entry[1], size + #data
  end
until not entry or #entries == most or size > 65536
local ended, are_all = ENDED[state], #entries < most and size <= 65536
if name ~= '' and not ended and #entries == 0 and state == ARGV[5] and progress == ARGV[6] then
  delete_if_wrong_type(waiters, 'set')
  redis.call('SADD', waiters, name)
  redis.call('EXPIRE', waiters, seconds * 2 + 10)
  redis.call('SET', followers, '1', 'EX', seconds * 2 + 10) -- from now on, claims notify followers
end
local fields = {}
if ended and are_all then
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
