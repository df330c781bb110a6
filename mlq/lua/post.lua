-- Posts jobs of one lane, in order, with consecutive ids.
-- Guarantee: all of them or none. The same call sent again posts no second jobs, and neither does one that arrives after
-- its caller gave up on it and went on to the next number. Nothing is overwritten: ids that are taken, as after a loss of
-- the counter, are skipped. As long as a job holds the key of another one, the latter is not posted, or it replaces the former.
-- KEYS  counter string · posts prefix · lane zset · lanes set · serves prefix · replay string · leases zset · class prefix
--       · epoch string · jobs prefix · streams prefix · staged prefix · blocked zset · scheduled zset · expiring zset
--       · low_priority string · workers zset · inboxes prefix · gates string · then every key of unique.lua
-- ARGV  number of the call · lane · lease of the posting attempt, or '' · hash of this post if the caller is an idempotency key;
--       in the first of several calls for one post 'of' and its jobs, in the others 'of 0'; or '' · epoch that the caller knows, or
--       '' to post in any · the jobs that these come after (after.lua), '' if none, or 'plan' for parts of a split, which begin when
--       that does · when they may begin and how soon (shared/times.lua), or '' · then every argument of a key: how it is to be held
--       (shared/unique.lua) · body of each job, or '' for one whose record is staged
-- RETURNS  'id stamp' of the first, or '=id stamp' of one that was there, or is replaced · 'lost' if the posting attempt lost its
--       lease · 'other' if the key was used for a different post · 'stale' if the epoch has changed · 'unstaged' if a staged record
--       is missing · 'after id word' if that is refused · 'past', 'expired' (times.lua) · 'full jobs limit', 'uncounted' (room.lua)
--- include clock
--- include head
--- include lane
--- include wake
--- include last_id
--- include free_ids
--- include staged
--- include records
local counter, posts, lane_key, lanes, serves, replay, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local classes, epoch, jobs, streams, staged, blocked = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13]
local scheduled, expiring, low_priority, workers, inboxes, gates = KEYS[14], KEYS[15], KEYS[16], KEYS[17], KEYS[18], KEYS[19]
--- include after
local number, lane, lease, fingerprint, expected, after, when = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local before = #KEYS > 19 and 8 or 7 -- the arguments before the bodies
--- include sent_again
if lease ~= '' and not redis.call('ZSCORE', leases, lease) then return post_nothing('lost') end
local last = last_id(known[3])
if expected ~= '' and (known[2] ~= expected or not last) then return post_nothing('stale') end
if not are_staged(staged, ARGV, before, #lane + 19) then return 'unstaged' end
local is_plan, count, needs, times, unique, refused = after == 'plan', #ARGV - before, nil, nil, nil, nil
if after ~= '' and not is_plan then needs, refused = needed_in(jobs, after) end
local now = clock()
if known[5] then
--- block gating
end
if when ~= '' and not refused then
--- block times
  times, refused = times_in(when, now)
end
if before == 8 and not refused then
--- block unique
  unique, refused = unique_in(ARGV[before], now)
end
local is_ready = not is_plan and (not needs or needs.open == 0)
local begins, replaces, first = is_ready and not (times and times.due), unique and unique.replaced, (last or 0) + 1
if known[5] and begins and not replaces and not refused then
--- block room
  refused = take_room(count, string.match(fingerprint, '^of (%d+)$'), now)
end
if refused then return post_nothing(refused) end
if last and string.sub(known[2] or '', 1, 1) == '!' then first = first_free_ids(posts, jobs, streams, first, count) end
if replaces then
  first = unique.replace()
elseif not write_records(counter, posts, staged, first, count, lane .. '\n' .. now .. '\n', ARGV, before) then return 'stale' end
for i = 1, count do
  local id = string.format('%d', first + i - 1)
  if begins then add_to_lane(lane_key, id, times and times.place(id) or id) end
  if needs then come_after(jobs, posts, blocked, now, id, needs, i == 1) end
  if times then times.store(id, is_ready) end
end
local id = string.format('%d', first)
if is_plan then
  redis.call('RPUSH', jobs .. lease .. ':plan', string.format('%d-%d', first, first + count - 1))
elseif begins and string.find(lane, '|', 1, true) then
--- block shares
  local how = (times or replaces or known[4]) and 'came' or 'posted'
  change_share(string.sub(lane_key, 1, -#lane - 1), lanes, serves, classes, how, lane, id)
elseif begins and (add_lane(lanes, lane) or (times or replaces or known[4]) and redis.call('ZRANK', lane_key, id) == 0) then
  first_came(serves, classes, lane, times and times.place(id) or id)
end -- else it is not the first of its lane, and workers know already that there is work
if times then times.tell() end
if unique then unique.hold(id) end
local was, kept = replaces and '=' or '', fingerprint ~= '' and ' ' .. fingerprint or ''
redis.call('SET', replay, number .. ' ' .. was .. id .. kept, 'EX', kept ~= '' and 86400 or 3600)
return was .. id .. ' ' .. (replaces and unique.stamp or now)
