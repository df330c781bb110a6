-- Puts a message into an inbox, which expires after a minute: a reader that is alive asks again sooner than that. An inbox
-- of another type is replaced. Call this after another write, so that a server that refuses writes has refused before.
local function send(inbox, message)
  if type(redis.pcall('RPUSH', inbox, message)) ~= 'number' then
    redis.call('DEL', inbox)
    redis.call('RPUSH', inbox, message)
  end
  redis.call('EXPIRE', inbox, 60)
end
