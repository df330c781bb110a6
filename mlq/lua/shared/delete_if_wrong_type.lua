-- Deletes `key` if it exists with another type than `kind`: every command on it would fail, forever.
local function delete_if_wrong_type(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    redis.call('DEL', key)
  end
end
