-- Posts the jobs of a schedule: of one that is due, which is then due at its next tick; or of one that a person runs now.
-- Guarantee: all at once, and once, whoever calls this and how often: nothing is done for a schedule that is due at another time
-- than the caller saw, or was declared again, paused or removed since. If the post is refused, nothing is changed.
-- KEYS  schedules hash · course hash · schedule_due zset · jobs prefix · posts prefix · then those of post.lua
-- ARGV  name · the call · the time that it is due, as the caller saw it, or '' if a person runs it · when it was changed last, as
--       the caller saw it · when it is due next · how many ticks were missed · the last tick that jobs are posted for, or ''
--       · how many jobs · 'skip' if none is posted while the last one has not ended, 'damaged' if it can't be read · then those of
--       post.lua
-- RETURNS  {what was done, microseconds until any schedule is due or -1, 'id stamp' of the first job}: 'posted' · 'overlaps' ·
--          'none' if there was nothing to post · 'other' if this is not to be done · 'refused', with what the post said
--- include clock
--- include ended
--- include fields
--- include head
--- include whole
local schedules, course, schedule_due, jobs, posts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local name, call, seen, changed, following = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local missed, tick, count, overlap = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9]

local function post(KEYS, ARGV)
--- include post
end -- of post.lua

local function reply(word, job)
  local first = redis.pcall('ZRANGE', schedule_due, 0, 0, 'WITHSCORES')[2]
  return {word, first and math.max(0, math.floor((first - clock()) * 1e6)) or -1, job or ''}
end

-- Whether job 'id stamp' has ended or is gone.
local function has_ended(job)
  local id, stamp = string.match(job or '', '^(%d+) (%d+%.%d+)$')
  return not id or stamp_in(read_head(posts .. id)) ~= stamp or ENDED[read_fields(jobs .. id, 'state')[1]] == true
end

local own = read_fields(course, 'changed', 'job', 'call', 'posted', 'missed', 'skipped')
if own[3] == call then return reply('posted', own[2]) end -- sent again, as the reply was lost
local due = redis.pcall('ZSCORE', schedule_due, name)
if own[1] ~= changed or redis.pcall('HEXISTS', schedules, name) ~= 1 then return reply('other') end
if seen ~= '' and (type(due) ~= 'string' or tonumber(due) ~= tonumber(seen)) then return reply('other') end

local word, job = 'none', nil
if count > 0 and overlap == 'skip' and not has_ended(own[2]) then
  if seen == '' then return reply('overlaps', own[2]) end
  word = 'overlaps'
elseif count > 0 then
  local posted = post({unpack(KEYS, 6)}, {unpack(ARGV, 10)})
  job = string.match(posted, '^%d+ %d+%.%d+$')
  if not job then return reply('refused', posted) end
  local id, stamp = string.match(job, '^(%d+) (.*)$')
  redis.call('HSET', course, 'job', string.format('%d %s', id + count - 1, stamp), 'call', call, 'posted', whole(own[4]) + count)
  word = 'posted'
end
if seen ~= '' then
  redis.call('ZADD', schedule_due, following, name)
  redis.call('HSET', course, 'missed', whole(own[5]) + missed, 'skipped', whole(own[6]) + (word == 'overlaps' and count or 0))
  if word == 'posted' then redis.call('HSET', course, 'last', tick) end
  if overlap == 'damaged' then redis.call('HDEL', course, 'times') end -- whoever declares it again says when it is due
end
return reply(word, job)
