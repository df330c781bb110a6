-- Leaves out the ids from `after` up to `last`. It is written down, so that lists need not look at each of them.
local function leap(leaps, after, last)
  redis.call('ZADD', leaps, string.format('%d', last), string.format('%d', after))
  redis.call('ZREMRANGEBYRANK', leaps, 0, -1001)
end
