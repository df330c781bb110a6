-- The last id that was given out, as the counter has it; nil where that holds no number that can be counted on from.
local function last_id(counted)
  local last = tonumber(counted or '')
  return last and last >= 0 and last < 1e15 and last == math.floor(last) and last or nil
end
