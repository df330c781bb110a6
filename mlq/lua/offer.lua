-- Puts predictions into the line of those that a shadow is to repeat, as long as that has room; counts the others.
-- Guarantee: the line has `most` entries at most, and is kept for so many seconds after the last call. The same call sent again
-- puts them there again, which does no harm but in the counts.
-- KEYS  waiting list · figures hash
-- ARGV  most entries · seconds · how many were dropped before · prediction of each
-- RETURNS  'ok'
--- include delete_if_wrong_type
local waiting, figures = KEYS[1], KEYS[2]
local most, seconds, dropped = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
delete_if_wrong_type(waiting, 'list')
delete_if_wrong_type(figures, 'hash')
local room = most - redis.call('LLEN', waiting)
for i = 4, #ARGV do
  if room > 0 then
    redis.call('RPUSH', waiting, ARGV[i])
    room = room - 1
  else
    dropped = dropped + 1
  end
end
redis.call('EXPIRE', waiting, seconds)
if dropped > 0 and type(redis.pcall('HINCRBY', figures, 'dropped', dropped)) ~= 'number' then
  redis.call('HSET', figures, 'dropped', dropped) -- what was there is no number
end
return 'ok'
