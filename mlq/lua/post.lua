-- Posts jobs of one lane, in order, with ids that follow one another.
-- Guarantee: all of them or none; the same call sent again makes no second jobs, nor does one that
-- arrives after its caller gave it up and went on to the next number.
-- KEYS  counter string · posts stem · lane zset · lanes set · serves stem · replay string · leases zset · class stem
-- ARGV  number of the call · lane · lease of the posting attempt, or '' · what tells this post from others, where the
--       caller is an idempotency key, or '' · body of each job
-- RETURNS  the first id · 0 when the posting attempt no longer holds its lease · -1 when the key was for another post
--- include clock
--- include wake
local counter, posts, lane_key, lanes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local serves, replay, leases, classes = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local number, lane, lease, print = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local count = #ARGV - 4

local last = redis.call('GET', replay)
if last then
  local before, first, other = string.match(last, '^(%d+) (%d+) ?(.*)$')
  if tonumber(before) >= tonumber(number) then
    return other == print and tonumber(first) or -1
  end
end
if lease ~= '' and not redis.call('ZSCORE', leases, lease) then
  return 0
end

local head = lane .. '\n' .. clock() .. '\n'
local first = redis.call('INCRBY', counter, count) - count + 1
for i = 1, count do
  local id = string.format('%d', first + i - 1)
  redis.call('SET', posts .. id, head .. ARGV[4 + i])
  redis.call('ZADD', lane_key, id, id)
end
if redis.call('SADD', lanes, lane) == 1 then -- it was empty: else workers know that it has work
  first_came(serves, classes, lane, first)
end
local id = string.format('%d', first)
if print == '' then
  redis.call('SET', replay, number .. ' ' .. id, 'EX', 3600)
else
  redis.call('SET', replay, number .. ' ' .. id .. ' ' .. print, 'EX', 86400)
end
return first
