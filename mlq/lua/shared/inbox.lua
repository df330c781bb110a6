-- Puts a message into an inbox, which lapses after a minute: who lives asks again sooner than that. One of another type is
-- replaced. Write something before: a server that refuses now must not refuse this alone.
local function send(inbox, message)
  if type(redis.pcall('RPUSH', inbox, message)) ~= 'number' then
    redis.call('DEL', inbox)
    redis.call('RPUSH', inbox, message)
  end
  redis.call('EXPIRE', inbox, 60)
end
