-- Claims up to `count` of the jobs that a class of workers serves, oldest first across its lanes, each under a lease.
-- Guarantee: a job is in its lane or under a lease, never both or neither; the same call sent again claims nothing more.
-- An entry whose record is missing becomes a dead letter instead of blocking the queue. However many lanes there are, it
-- reads only those whose first jobs are oldest, `count` of them at most, and up to 32 more that it passes over.
-- KEYS  lanes set · lane prefix · serves prefix · class prefix · posts prefix · jobs prefix · leases zset · replay string · dead zset
--       · followers string · waiters prefix · inboxes prefix · holders prefix · workers zset · gates string
-- ARGV  number of the call · class · token · worker · lease in seconds · count of slots · packed map of the sizes of batches
--       and of the rooms of limited listeners (see `batches` in ops/work.py), or '' if there are none · seconds for which jobs
--       of models are for workers that hold these, 0 for none
-- RETURNS  {'ok', now, id, attempt, record, id, ...}, the record '' where it is large: the worker reads it with GET ·
--       {'unknown'} if the class is not registered, or not completely; `attempt` is as in shared/claim_reply.lua, and `now` has
--       the seconds until jobs that are kept back may begin here, if that is known: 'now seconds'
--- include wake
--- include broken
--- include claim_reply
--- include announce
local lanes, lane_prefix, serves, classes, posts, jobs = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local leases, replay, dead, followers, waiters, inboxes = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local holders, living, gates = KEYS[13], KEYS[14], KEYS[15]
local number, class, token, worker = ARGV[1], classes .. ARGV[2], ARGV[3], ARGV[4]
local lease, count, sizes = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] ~= '' and cmsgpack.unpack(ARGV[7])
local wait, now, owes = tonumber(ARGV[8]), clock(), {} -- `owes`: fields for the hashes of jobs with a share, by id (ring_jobs.lua)
--- include affinity
--- include merge

local there = redis.call('MGET', replay, gates, class .. ':gates')
local before = there[1] and tonumber(string.match(there[1], '^%d+')) or 0
if before >= tonumber(number) then
  return claimed_again(jobs, posts, there[1], token, sizes)
end
local ready = redis.pcall('ZRANGE', class .. ':ready', 0, count, 'WITHSCORES')
if not ready[1] or ready[3] == ':' or there[2] ~= there[3] then return {'unknown'} end
if ready[1] == '' then return {'ok', '0'} end
if there[2] then
--- include gate_claims
  ready = gating.spread(class, ready, wait > 0 and count + PASSED or count)
end
if wait > 0 then ready = without_others(class, ready, count) end
local size, copied, ids, records, batches = 0, 0, {}, {}, {}
local touched, left, unread, unseen = merge(ready, lane_prefix, count, sizes, batch_size, limited_by, function(id, batch, opens)
  local record, length = small_record(posts, id)
  local small = record and #record or 0
  -- no more large messages than fit into 2 MB, or one: a worker holds them all, and only its slots work on them. Those of a
  -- batch are worked on together; the limits are on what a worker holds, and on what this script copies
  local fits = opens and size + length <= 2e6 or not opens and size + length <= 64e6 and copied + small <= 4e6
  if #ids > 0 and not fits then return false end
  size, copied = size + length, copied + small
  ids[#ids + 1], records[#ids + 1], batches[#ids + 1] = id, record, batch
  return true
end)
redis.call('SET', replay, number .. ' ' .. table.concat(ids, ' '), 'EX', 60)
local reply = {'ok', now}
--- include claim_hold
for _, lane in ipairs(touched) do
  if lane.close then lane.close() elseif #lane.taken > 0 then redis.call('ZREM', lane_prefix .. lane.name, unpack(lane.taken)) end
  if #lane.taken == 0 and not lane.place then
    redis.call('ZREM', class .. ':ready' .. (lane.group and lane.group.name or ''), lane.name) -- the index was wrong; the class may not even serve this lane
  end
  first_left(lanes, serves, classes, lane.name, lane.place)
  note_taken(lane)
end
if redis.call('EXISTS', followers) == 1 then -- somebody follows jobs: perhaps one of these
  for _, id in ipairs(ids) do notify_followers(waiters, inboxes, id) end
end
if gating then left, unread, again = gating.close(class, left, unread, again) end
wake_others(class, left, unread)
if unseen then -- the worker is about to sleep as a class without the listeners whose room is used up
  send(inboxes .. worker, 'wake')
end
if again then reply[2] = now .. ' ' .. again end
return reply
