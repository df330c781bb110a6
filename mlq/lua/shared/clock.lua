-- Redis' own time in seconds, as a text with microseconds (a Lua number would lose digits when made a text).
local function clock()
  local time = redis.call('TIME')
  return string.format('%s.%06d', time[1], time[2])
end
