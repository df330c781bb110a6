-- Redis' own time in seconds, as a string with microseconds (converting a Lua number to a string would lose digits).
local function clock()
  local time = redis.call('TIME')
  return string.format('%s.%06d', time[1], time[2])
end
