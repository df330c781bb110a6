-- Posts jobs of one lane, in order, with consecutive ids.
-- Guarantee: all of them or none. The same call sent again posts no second jobs, and neither does one that arrives after
-- its caller gave up on it and went on to the next number. Nothing is overwritten: ids that are taken, as after a loss of
-- the counter, are skipped.
-- KEYS  counter string · posts prefix · lane zset · lanes set · serves prefix · replay string · leases zset · class prefix
--       · epoch string · jobs prefix · streams prefix · staged prefix · blocked zset · scheduled zset · expiring zset
--       · low_priority string · workers zset · inboxes prefix
-- ARGV  number of the call · lane · lease of the posting attempt, or '' · hash of this post if the caller is an
--       idempotency key, or '' · epoch that the caller knows, or '' to post in any
--       · the jobs that these come after (shared/after.lua), '' if none, or 'plan' for parts of a split, which begin when that
--       does · when they may begin and how soon (shared/times.lua), or '' · body of each job, or '' for one whose record is staged
-- RETURNS  'id stamp' of the first · 'lost' if the posting attempt lost its lease · 'other' if the key was used for a different
--       post · 'stale' if the epoch has changed · 'unstaged' if a staged record is not there · 'after id word' if that is refused
--       · 'past' if they should have begun long ago · 'expired' if they would expire before they may begin
--- include clock
--- include head
--- include lane
--- include wake
--- include last_id
--- include free_ids
--- include staged
--- include records
local counter, posts, lane_key, lanes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local serves, replay, leases, classes = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local epoch, jobs, streams, staged, blocked = KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13]
local scheduled, expiring, low_priority, workers, inboxes = KEYS[14], KEYS[15], KEYS[16], KEYS[17], KEYS[18]
--- include after
local number, lane, lease, fingerprint, expected, after = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local when, count = ARGV[7], #ARGV - 7

-- The reply where no job is posted.
local function post_nothing(reply)
  drop_staged(staged, ARGV, 7)
  return reply
end

local known = redis.call('MGET', replay, epoch, counter, low_priority)
if known[1] and (tonumber(string.match(known[1], '^(%d+) %d')) or 0) >= tonumber(number) then
  local first, other = string.match(known[1], '^%d+ (%d+) ?(.*)$')
  return post_nothing(other == fingerprint and first .. ' ' .. stamp_in(read_head(posts .. first)) or 'other')
end
if lease ~= '' and not redis.call('ZSCORE', leases, lease) then return post_nothing('lost') end
local last = last_id(known[3])
if expected ~= '' and (known[2] ~= expected or not last) then return post_nothing('stale') end
if not are_staged(staged, ARGV, 7, #lane + 19) then return 'unstaged' end
local is_plan, needs, times, refused = after == 'plan', nil, nil, nil
if after ~= '' and not is_plan then needs, refused = needed_in(jobs, after) end
local now = clock()
if when ~= '' and not refused then
--- include times
  times, refused = times_in(when, now)
end
if refused then return post_nothing(refused) end
local is_ready = not is_plan and (not needs or needs.open == 0)
local begins = is_ready and not (times and times.due)

local first = (last or 0) + 1
if last and string.sub(known[2] or '', 1, 1) == '!' then -- it is not known which ids were assigned before
  first = first_free_ids(posts, jobs, streams, first, count)
end
local head = lane .. '\n' .. now .. '\n'
if not write_records(counter, posts, staged, first, count, head, ARGV, 7) then
  return 'stale'
end
for i = 1, count do
  local id = string.format('%d', first + i - 1)
  if begins then add_to_lane(lane_key, id, times and times.place(id) or id) end
  if needs then come_after(jobs, posts, blocked, now, id, needs, i == 1) end
  if times then times.store(id, is_ready) end
end
local id = string.format('%d', first)
if is_plan then
  redis.call('RPUSH', jobs .. lease .. ':plan', string.format('%d-%d', first, first + count - 1))
elseif begins and (add_lane(lanes, lane) or (times or known[4]) and redis.call('ZRANK', lane_key, id) == 0) then
  first_came(serves, classes, lane, times and times.place(id) or id)
end -- else it is not the first of its lane, and workers know already that there is work
if times then times.tell() end
local is_keyed = fingerprint ~= ''
redis.call('SET', replay, number .. ' ' .. id .. (is_keyed and ' ' .. fingerprint or ''), 'EX', is_keyed and 86400 or 3600)
return id .. ' ' .. now
