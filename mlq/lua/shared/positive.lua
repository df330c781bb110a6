-- A number above 0 in a text; `other` if that is something else.
local function positive(text, other)
  local number = tonumber(text or '')
  return number and number > 0 and number < 1e12 and number or other
end
