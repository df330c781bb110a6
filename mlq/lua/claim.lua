-- Claims up to `count` waiting jobs of the given lanes, oldest first, each under a lease.
-- Guarantee: a job is in its lane or under a lease, never both or neither; the same call sent again claims nothing more.
-- An entry whose message is missing becomes a dead letter instead of stopping the queue.
-- KEYS  version string · lanes set · posts stem · jobs stem · leases zset · replay string · dead zset · wakes stem
--       · followers string · waiters stem · inboxes stem · then every lane zset that the worker can serve
-- ARGV  number of the call · version of `lanes` that the worker knows · token · worker · lease in seconds · count
--       · then the name of every lane, in the order of KEYS
-- RETURNS  {'ok', now, id, attempt, record, id, ...} · {'lanes', version, lanes} when the worker's list is out of date;
--       an attempt after the first is a text that tells the errors before it, too: 'attempt errors'
--- include clock
--- include wake
--- include broken
--- include again
--- include announce
local version, lanes, posts, jobs, leases, replay = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local dead, wakes, followers, waiters, inboxes = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local number, known, token, worker = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease, count = tonumber(ARGV[5]), tonumber(ARGV[6])

local last = redis.call('GET', replay)
local before = last and tonumber(string.match(last, '^%d+')) or 0
if before >= tonumber(number) then
  return claimed_again(jobs, posts, last, token)
end
local current = redis.call('GET', version) or '0'
if current ~= known then
  return {'lanes', current, redis.call('SMEMBERS', lanes)}
end

local heads = {}
for l = 12, #KEYS do
  local lane = redis.call('ZRANGE', KEYS[l], 0, count - 1, 'WITHSCORES')
  for i = 1, #lane, 2 do
    heads[#heads + 1] = {id = lane[i], place = tonumber(lane[i + 1]), lane = l}
  end
end
if #heads == 0 then return {'ok', '0'} end
if #KEYS > 12 then
  table.sort(heads, function(a, b) return a.place < b.place end)
end

local now, size = clock(), 0
local reply, held, taken, ids, records = {'ok', now}, {}, {}, {}, {}
for i = 1, math.min(count, #heads) do
  local record = redis.pcall('GET', posts .. heads[i].id)
  record = type(record) == 'string' and record -- a key of another type is as good as none
  local length = record and #record or 0
  if i > 1 and size + length > 2e6 then break end -- a large message travels alone, and has 1 s more for each MB,
  ids[i], records[i], size = heads[i].id, record, size + length -- as the worker can renew only when it has it whole
end
local deadline = string.format('%.6f', now + lease + (size > 2e6 and size / 1e6 or 0))
redis.call('SET', replay, number .. ' ' .. table.concat(ids, ' '), 'EX', 60)
for i, id in ipairs(ids) do
  local record = records[i]
  local lane = heads[i].lane
  taken[lane] = taken[lane] or {}
  table.insert(taken[lane], id)
  if record then
    local attempt = count_attempt(jobs, id)
    redis.call('HSET', jobs .. id, 'state', 'running', 'token', token, 'worker', worker, 'started', now)
    held[#held + 1], held[#held + 2] = deadline, id .. ':' .. token
    reply[#reply + 1], reply[#reply + 2] = id, attempt == 1 and 1 or with_errors(jobs, id, attempt)
    reply[#reply + 1] = record
  else
    bury_broken(posts, jobs, dead, id, now)
  end
end
if #held > 0 then
  redis.call('ZADD', leases, unpack(held))
end
if redis.call('EXISTS', followers) == 1 then -- somebody follows jobs: perhaps one of these
  for _, id in ipairs(ids) do hint(waiters, inboxes, id) end
end
for lane, gone in pairs(taken) do
  redis.call('ZREM', KEYS[lane], unpack(gone))
  if redis.call('EXISTS', KEYS[lane]) == 1 then
    wake(wakes, ARGV[lane - 5])
  end
end
return reply
