-- Tells whoever wants to post the epoch that the ids belong to; begins a new one where data may have been lost.
-- Guarantee: in a new run of the server, or after a loss that anything here or the caller shows, no id is given out that
-- was given out before, as far as the counter and the caller know. Ids of a namespace that nobody used begin with 1.
-- KEYS  counter string · epoch string · leaps zset
-- ARGV  random text for a new epoch · run of the server, or '' where it is not known · highest id that the caller saw
-- RETURNS  the epoch
--- include leap
local counter, epoch, leaps = KEYS[1], KEYS[2], KEYS[3]
local run, highest = ARGV[2], tonumber(ARGV[3])

local known = redis.call('MGET', epoch, counter)
local current, last = known[1], last_id(known[2])
local new_run = current and run ~= '' and string.match(current, ' (.*)$') ~= run
local above = math.max(last or 0, highest)
if new_run or (current and not last) or highest > (last or 0) then
  redis.call('SET', counter, string.format('%d', above + 1e6))
  leap(leaps, above, above + 1e6)
elseif not last then
  redis.call('SET', counter, '0')
end
if new_run or not current then
  current = ARGV[1] .. ' ' .. run
  redis.call('SET', epoch, current)
end
return current
