-- Tells whoever wants to post the epoch that the ids belong to; begins a new one where data may have been lost.
-- Guarantee: in a new run of the server, or after a loss that anything here or the caller shows, no id is given out that
-- was given out before, as far as the counter and the caller know. Ids of a namespace that nobody used begin with 1.
-- Where the counter was lost alone, the epoch begins with '!': ids are looked at before they are given out.
-- KEYS  counter string · epoch string · leaps zset · lanes set · metrics hash · dead zset
-- ARGV  random text for a new epoch · run of the server, or '' where it is not known · highest id that the caller saw
--       · epoch that the caller knew last, or ''
-- RETURNS  the epoch
--- include last_id
local counter, epoch, leaps, lanes, metrics, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local run, highest = ARGV[2], tonumber(ARGV[3])

local known = redis.call('MGET', epoch, counter)
local last = last_id(known[2])
if highest >= MOST_ID then -- somebody wrote that into the counter; ids are looked at before they are given out then
  highest = 0
end
local current = known[1] and string.match(known[1], '^[!-~]+ [!-~]*$') -- what is none was lost
local new_run = current and run ~= '' and string.match(current, ' (.*)$') ~= run
local lost_alone = not last and (current or redis.call('EXISTS', lanes, metrics, dead) > 0)
local above = math.max(last or 0, highest)
-- others who knew the caller's epoch may have seen some more ids than he did, and be idle
local fell_back = current and ARGV[4] ~= '' and ARGV[4] ~= current and (last or 0) < highest + 1e6
if new_run or fell_back or lost_alone or highest > (last or 0) then
  redis.call('SET', counter, string.format('%d', above + 1e6))
  if not lost_alone then -- else jobs of before may be there, with ids that nobody knows
    redis.call('ZADD', leaps, string.format('%d', above + 1e6), string.format('%d', last or 0))
    redis.call('ZREMRANGEBYRANK', leaps, 0, -1001)
  end
elseif not last then
  redis.call('SET', counter, '0')
end
local careful = lost_alone or string.sub(current or '', 1, 1) == '!'
if new_run or lost_alone or not current then
  current = (careful and '!' or '') .. ARGV[1] .. ' ' .. run
  redis.call('SET', epoch, current)
end
return current
