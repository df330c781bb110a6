-- Records the outcomes of attempts.
-- Guarantee: each once, and only under its lease; the reply to one that is sent again is 'ok'. Everything is stored before
-- anybody is notified.
-- KEYS  those of shared/lapse.lua · then counter string · epoch string · staged prefix
-- ARGV  losses that a job may have and still run again · epoch that the worker knows, or '' · then per outcome: packed map
--       (see `_packed` in ops/settling.py) · result, or body of the job that this one becomes, or ''
-- RETURNS  per outcome 'ok', 'lost', or where a job is to become another one, 'stale' if the epoch has changed, and 'unstaged'
--       if the body is to be staged but is not there
--- include clock
--- include loss
--- include ending
--- include work
--- include become
local now, allowed, epoch, reply = clock(), tonumber(ARGV[1]), ARGV[2], {}

local function finish(ending, state, result)
  finish_attempt(now, ending, state, result, #reply)
end

local verdicts = {}

function verdicts.succeeded(ending, result)
  local tail = part_of(ending).tail
  if not tail or not waits_for_outcome(tail, ending.id) then -- a person may requeue that one yet (chores_requeue.lua)
    return finish(ending, 'succeeded', result)
  end
  local fields = ending.fields
  ending.fields = {gave = tail} -- the result is stored once, with the job that it was wanted for
  finish(ending, 'succeeded')
  give(now, tail, fields, result, ending.said)
end

function verdicts.blocked(ending, body)
  return become(now, epoch, ending, body, finish)
end

function verdicts.failed(ending)
  finish(ending, 'failed')
end

function verdicts.retry(ending)
  local id, error = ending.id, ending.fields
  remember(jobs, id, now, error.reason or '', error.error_type or '', error.error or '', error.traceback or '')
  redis.call('HSET', jobs .. id, 'errors', whole(redis.call('HGET', jobs .. id, 'errors')) + 1, 'settled', ending.token)
  schedule(id, id .. ':' .. ending.token, now + ending.retry_in, error.reason or 'error')
end

-- The process of the attempt died. The record may be gone, too.
function verdicts.lost(ending)
  local lane = lane_of(posts, ending.id)
  if not lane then
    return finish(ending, 'failed')
  end
  redis.call('HSET', jobs .. ending.id, 'settled', ending.token)
  lose(now, ending.id, ending.id .. ':' .. ending.token, lane, ending.fields.reason, allowed, ending.fields.error, ending.beside)
end

for i = 3, #ARGV, 2 do
  local ending, word = cmsgpack.unpack(ARGV[i]), 'ok'
  if redis.call('ZSCORE', leases, ending.id .. ':' .. ending.token) then
    delete_if_wrong_type(jobs .. ending.id, 'hash')
    if ending.used then charge(now, ending.id, ending.used[1], ending.used[2]) end
    word = verdicts[ending.verdict](ending, ARGV[i + 1]) or 'ok'
  else
    local before = redis.call('HMGET', jobs .. ending.id, 'token', 'finished', 'settled')
    local is_again = (before[1] == ending.token and before[2]) or before[3] == ending.token
    word = is_again and 'ok' or 'lost'
  end
  reply[#reply + 1] = word
end
if #todo > 0 then
  work(now)
end
return reply
