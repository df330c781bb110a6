-- Notes that workers hold models: that they have them loaded, or are about to load them.

local HELD = 100 -- seconds for which that counts; a worker that lives says it again every 30 s

-- Notes that a worker holds a model. A key of another type is replaced. Call this after another write, so that a server that
-- refuses writes has refused before.
local function note_holder(key, worker, now)
  if type(redis.pcall('ZADD', key, string.format('%.3f', now + HELD), worker)) ~= 'number' then
    redis.call('DEL', key)
    redis.call('ZADD', key, string.format('%.3f', now + HELD), worker)
  end
  redis.call('EXPIRE', key, HELD)
end
