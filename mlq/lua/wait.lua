-- Reads how a job ended; if it has not ended, has an inbox notified when it does.
-- Guarantee: either the reply has the outcome, or the inbox gets the id when the job ends; so no end is missed. If the
-- reply has it, the inbox gets the id at once, since the caller has already sent the command that waits for it. If the
-- caller is itself a job, waits that would form a circle are refused (shared/circle.lua says which).
-- KEYS  posts prefix · jobs prefix · waiters set · inbox list
-- ARGV  id · inbox's name · seconds until the caller asks again · lease (or id) of the job that waits, or ''
--       · 1 if the inbox is for this call alone (leftovers of an earlier one are removed) · stamp of the job that is meant,
--       or '' for any with that id · 1 for all fields of the job, 0 for its state alone
-- RETURNS  {'gone'} · {'other'} · {'circle'} · {'wait', stamp} · {'ended', stamp, field, value, ...}; a result above 64 KiB
--       is not among the fields: `elsewhere` says that the caller reads it with HMGET
--- include check_stamp
--- include ended
--- include delete_if_wrong_type
local posts, jobs, waiters, inbox = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
--- include circle
local id = ARGV[1]
local job, post = jobs .. id, posts .. id
local waiting, token = string.match(ARGV[4], '^([^:]*):?(.*)$')

local function at_once(reply)
  if ARGV[2] ~= '' then
    redis.call('RPUSH', inbox, id)
    redis.call('EXPIRE', inbox, 60)
  end
  return reply
end

-- All fields, but for a large result.
local function fields()
  if redis.call('HSTRLEN', job, 'result') <= 65536 then
    return redis.call('HGETALL', job)
  end
  local found = {'elsewhere', '1'}
  for _, name in ipairs(redis.call('HKEYS', job)) do
    if name ~= 'result' then
      found[#found + 1], found[#found + 2] = name, redis.call('HGET', job, name)
    end
  end
  return found
end

local stamp, word = check_stamp(post, job, ARGV[6])
if word then
  return at_once({word})
end
local state = redis.call('HGET', job, 'state')
if not state and stamp == '' and redis.call('EXISTS', post) == 0 then
  return at_once({'gone'})
end
if ENDED[state] then
  local reply = ARGV[7] == '1' and fields() or {'state', state}
  table.insert(reply, 1, 'ended')
  table.insert(reply, 2, stamp)
  return at_once(reply)
end
if waiting ~= '' then
  local now = redis.call('HMGET', jobs .. waiting, 'state', 'token', 'waits_for')
  if now[3] ~= id and waits_already(id, waiting) then -- else it has asked before
    return at_once({'circle'})
  end
  if now[1] == 'running' and (token == '' or now[2] == token) then
    redis.call('HSET', jobs .. waiting, 'waits_for', id)
  end
end
if ARGV[2] ~= '' then
  delete_if_wrong_type(waiters, 'set')
  redis.call('SADD', waiters, ARGV[2]) -- first, so that a full server refuses
  redis.call('EXPIRE', waiters, ARGV[3] * 2 + 10)
end
if ARGV[5] == '1' then
  redis.call('DEL', inbox)
end
return {'wait', stamp}
