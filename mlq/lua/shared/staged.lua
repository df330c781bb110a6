-- Records of large jobs, which callers stage with SET before they post: in Lua, a record would be copied three times.

-- Whether a record longer than `least` bytes is staged under `key`.
local function is_staged(key, least)
  return (tonumber(redis.pcall('STRLEN', key)) or 0) > least
end

-- Makes the staged record the one of `key`, with its `head`, which has the length of the one that was staged. False if
-- there is a record already.
local function unstage(staged, key, head)
  if redis.call('RENAMENX', staged, key) == 0 then
    return false
  end
  redis.call('PERSIST', key)
  redis.call('SETRANGE', key, 0, head)
  return true
end
