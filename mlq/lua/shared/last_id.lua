-- The last id that was given out, as the counter has it; nil where that holds no number that can be counted on from. Ids
-- end at 9e13: beyond 2^53 a Lua number tells two of them no longer apart, and a post of many needs room below that.
local MOST_ID = 9e13

local function last_id(counted)
  local last = tonumber(counted or '')
  return last and last >= 0 and last < MOST_ID and last == math.floor(last) and last or nil
end
