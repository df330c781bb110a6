-- Returns the epoch that posts must name. If data may have been lost, first moves the counter of ids up and begins a new
-- epoch.
-- Guarantee: after a restart of the server, or a loss that shows in these keys or in what the caller knows, no id is
-- assigned a second time, as far as the counter and the caller know. Ids of an unused namespace begin with 1.
-- If only the counter was lost, the epoch begins with '!', and post.lua checks that ids are free before it assigns them.
-- KEYS  counter string · epoch string · skipped_ids zset · lanes set · metrics hash · dead zset
-- ARGV  random string for a new epoch · run id of the server, or '' if unknown · highest id that the caller has seen
--       · the last epoch that the caller knew, or ''
-- RETURNS  the epoch
--- include last_id
local counter, epoch, skipped_ids, lanes, metrics, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local run, highest = ARGV[2], tonumber(ARGV[3])

-- Whether attempts were ever counted. What else is counted, such as loads of models, may be so before the first job.
local function has_run()
  local names = redis.pcall('HKEYS', metrics)
  for _, name in ipairs(names) do
    if string.find(name, ':attempts:', 1, true) then return true end
  end
  return names.err ~= nil -- a key of another type
end

local known = redis.call('MGET', epoch, counter)
local last = last_id(known[2])
if highest >= MOST_ID then -- somebody wrote that into the counter: start again, with ids that are checked to be free
  highest = 0
end
local current = known[1] and string.match(known[1], '^[!-~]+ [!-~]*$') -- a malformed epoch counts as lost
local new_run = current and run ~= '' and string.match(current, ' (.*)$') ~= run
local lost_alone = not last and (current or redis.call('EXISTS', lanes, dead) > 0 or has_run())
local above = math.max(last or 0, highest)
-- other clients that knew the caller's epoch may have seen higher ids than the caller, and be idle now
local fell_back = current and ARGV[4] ~= '' and ARGV[4] ~= current and (last or 0) < highest + 1e6
if new_run or fell_back or lost_alone or highest > (last or 0) then
  redis.call('SET', counter, string.format('%d', above + 1e6))
  if not lost_alone then -- else there may be earlier jobs whose ids are unknown, so no range was skipped for sure
    redis.call('ZADD', skipped_ids, string.format('%d', above + 1e6), string.format('%d', last or 0))
    redis.call('ZREMRANGEBYRANK', skipped_ids, 0, -1001)
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
