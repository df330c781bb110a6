-- A count as it is stored; 0 for anything else, since whoever can write to Redis may have put it there.
local function whole(stored)
  local number = tonumber(stored or '')
  return number and number >= 0 and number < 1e15 and math.floor(number) or 0
end

-- Whether that is an id as the counter gives them out.
local function is_id(id)
  return #id < 16 and string.find(id, '^%d+$') ~= nil
end
