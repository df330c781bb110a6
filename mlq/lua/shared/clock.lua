-- Redis' own time in seconds, as a text with microseconds (a Lua number would lose digits when made a text).
local function clock()
  local time = redis.call('TIME')
  return time[1] .. '.' .. string.format('%06d', time[2])
end
