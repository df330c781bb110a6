-- Tells everybody who waits for job `id` that it ended. Inboxes lapse after a minute: a waiter that lives asks again
-- sooner than that.
local function announce(waiters, inbox, id)
  local key = waiters .. id
  local names = redis.call('SMEMBERS', key)
  if #names == 0 then
    return
  end
  for _, name in ipairs(names) do
    redis.call('RPUSH', inbox .. name, id)
    redis.call('EXPIRE', inbox .. name, 60)
  end
  redis.call('DEL', key)
end
