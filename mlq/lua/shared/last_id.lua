-- The last id that was assigned, according to the counter; nil if the counter is missing or is not a valid number. Ids end
-- at 9e13: above 2^53 a Lua number can't tell neighbouring ids apart, and a post of many jobs needs room below that.
local MOST_ID = 9e13

local function last_id(counted)
  local last = tonumber(counted or '')
  return last and last >= 0 and last < MOST_ID and last == math.floor(last) and last or nil
end
