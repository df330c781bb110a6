-- What stands under a key of ours and is of another type goes: it would stop all that concerns the key, for ever.
local function make_way(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    redis.call('DEL', key)
  end
end
