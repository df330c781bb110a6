-- The last id that was assigned, according to the counter; nil if the counter is missing or is not a valid number.
local function last_id(counted)
  local last = tonumber(counted or '')
  return last and last >= 0 and last < 1e15 and last == math.floor(last) and last or nil
end
