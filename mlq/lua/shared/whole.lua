-- A stored count; 0 for anything that is not a whole number, since anybody who can write to Redis may have put it there.
local function whole(stored)
  local number = tonumber(stored or '')
  return number and number >= 0 and number < 1e15 and math.floor(number) or 0
end

-- Whether `id` looks like an id that the counter assigned.
local function is_id(id)
  return #id < 16 and string.find(id, '^%d+$') ~= nil
end
