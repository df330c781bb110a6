-- Records of large jobs, which callers stage with SET before they post: in Lua, a record would be copied three times.

-- Whether a record longer than `least` bytes is staged under `key`.
local function is_staged(key, least)
  return (tonumber(redis.pcall('STRLEN', key)) or 0) > least
end

-- Whether all records are staged that are not in the arguments after number `before`.
local function are_staged(staged, args, before, least)
  for i = before + 1, #args do
    if args[i] == '' and not is_staged(staged .. (i - before), least) then return false end
  end
  return true
end

-- Removes what is staged for jobs that are not posted by this call: the caller stages it again before it tries again.
local function drop_staged(staged, args, before)
  for i = before + 1, #args do
    if args[i] == '' then redis.call('UNLINK', staged .. (i - before)) end
  end
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
