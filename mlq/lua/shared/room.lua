-- How many jobs a queue with a limited length still takes. Include this as a block (see times.lua). Uses the locals of post.lua.
-- The key `room:<queue>` has the limit; how many more are taken, since length.lua has counted those that wait; how many have
-- been, ever; and when that was counted.
--- include fields

local FRESH = 0.5 -- seconds for which a queue that was full counts as full: else everybody who posts would count

-- Takes room for `count` jobs, which the script posts then. Returns why there is none: 'full jobs limit', or 'uncounted' if that is
-- not known; nil if there is, or the length is not limited. `of`: how many jobs the whole post has, 0 if it has taken its room.
local function take_room(count, of, now)
  local root, queue = string.sub(gates, 1, -6), string.match(lane, '^[^:|]*')
  local ok, limit = pcall(cmsgpack.unpack, read_fields(root .. 'limits', 'queue:' .. queue)[1] or '')
  local most = ok and type(limit) == 'table' and type(limit.length) == 'number' and limit.length
  local wanted = tonumber(of) or count
  if not most or wanted == 0 then return nil end
  local key = root .. 'room:' .. queue
  local known = redis.pcall('GET', key)
  local noted, left, taken, at = string.match(type(known) == 'string' and known or '', '^(%d+) (%d+) (%d+) (%d+%.%d+)$')
  if tonumber(noted) ~= most then
    return 'uncounted'
  elseif tonumber(left) < wanted then
    local age = now - at
    return age >= 0 and age < FRESH and string.format('full %d %d', most - left, most) or 'uncounted'
  end
  redis.call('SET', key, string.format('%d %d %d %s', most, left - wanted, taken + wanted, at), 'EX', 60)
end
