-- Lets one idle worker know that `lane` has work. At most one token a list: workers pass it on. The token lapses after
-- 60 s, by when a worker that takes it late would have looked by itself.
local function wake_list(list)
  if redis.call('LLEN', list) == 0 then
    redis.call('RPUSH', list, '1')
    redis.call('EXPIRE', list, 60)
  end
end

-- `default` wakes those that listen to wake:default, `default:f,g` those that have f or g.
local function wake(stem, lane)
  if not string.find(lane, ':', 1, true) then
    return wake_list(stem .. lane)
  end
  local queue, functions = string.match(lane, '^([^:]*):(.*)$')
  for name in string.gmatch(functions, '[^,]+') do
    wake_list(stem .. queue .. ':' .. name)
  end
end
