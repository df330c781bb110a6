-- Posts jobs of one lane, in order, with consecutive ids.
-- Guarantee: all of them or none. The same call sent again posts no second jobs, and neither does one that arrives after
-- its caller gave up on it and went on to the next number. Nothing is overwritten: ids that are taken, as after a loss of
-- the counter, are skipped.
-- KEYS  counter string · posts prefix · lane zset · lanes set · serves prefix · replay string · leases zset · class prefix
--       · epoch string · jobs prefix · streams prefix · staged prefix · blocked zset
-- ARGV  number of the call · lane · lease of the posting attempt, or '' · hash of this post if the caller is an
--       idempotency key, or '' · epoch that the caller knows, or '' to post in any
--       · the jobs that these come after (shared/after.lua), '' if none, or 'plan' for parts of a split, which begin when that
--       does · body of each job, or '' for one that is large: its record is staged
-- RETURNS  'id stamp' of the first · 'lost' if the posting attempt lost its lease · 'other' if the key was used for a different
--       post · 'stale' if the epoch has changed · 'unstaged' if a staged record is not there · 'after id word' if that is refused
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
--- include after
local number, lane, lease, fingerprint, expected, after = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local count = #ARGV - 6

-- The reply where no job is posted.
local function post_nothing(reply)
  drop_staged(staged, ARGV, 6)
  return reply
end

local known = redis.call('MGET', replay, epoch, counter)
if known[1] and (tonumber(string.match(known[1], '^(%d+) %d')) or 0) >= tonumber(number) then
  local first, other = string.match(known[1], '^%d+ (%d+) ?(.*)$')
  return post_nothing(other == fingerprint and first .. ' ' .. stamp_in(read_head(posts .. first)) or 'other')
end
if lease ~= '' and not redis.call('ZSCORE', leases, lease) then
  return post_nothing('lost')
end
local last = last_id(known[3])
if expected ~= '' and (known[2] ~= expected or not last) then
  return post_nothing('stale')
end
for i = 1, count do
  if ARGV[6 + i] == '' and not is_staged(staged .. i, #lane + 19) then
    return 'unstaged'
  end
end
local needed, open, bad, refused = needed_in(jobs, after)
if refused then return post_nothing(refused) end
local is_ready = after ~= 'plan' and open == 0

local first = (last or 0) + 1
if last and string.sub(known[2] or '', 1, 1) == '!' then -- it is not known which ids were assigned before
  first = first_free_ids(posts, jobs, streams, first, count)
end
local now = clock()
local head = lane .. '\n' .. now .. '\n'
if not write_records(counter, posts, staged, first, count, head, ARGV, 6) then
  return 'stale'
end
for i = 1, count do
  local id = string.format('%d', first + i - 1)
  if is_ready then add_to_lane(lane_key, id, id) end
  come_after(jobs, posts, blocked, now, id, needed, open, bad, i == 1)
end
if after == 'plan' then
  redis.call('RPUSH', jobs .. lease .. ':plan', string.format('%d-%d', first, first + count - 1))
elseif is_ready and add_lane(lanes, lane) then -- the lane was empty; otherwise workers know already that it has work
  first_came(serves, classes, lane, first)
end
local id = string.format('%d', first)
if fingerprint == '' then
  redis.call('SET', replay, number .. ' ' .. id, 'EX', 3600)
else
  redis.call('SET', replay, number .. ' ' .. id .. ' ' .. fingerprint, 'EX', 86400)
end
return id .. ' ' .. now
