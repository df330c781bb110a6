-- How a ring changes outside of claims: makes the table `change` of shares.lua.
--- include ring_joining
--- include ring_used
--- include wake

-- The place of the job that is next in a ring, and its share; nil if there is none.
local function next_in_ring(ring)
  while true do
    local share = redis.pcall('ZRANGE', lane_prefix .. ring, 0, 0)[1]
    if not share then return nil end
    local place = redis.pcall('ZRANGE', lane_prefix .. ring .. share, 0, 0, 'WITHSCORES')[2]
    if place then return place, share end
    leave_ring(ring, share) -- somebody deleted its lane, or it is of another type
  end
end

change = {used = correct_charge}

function change.came(ring, share, id)
  local is_new = join_ring(ring, share)
  local place, first = next_in_ring(ring)
  if first == share and (is_new or redis.call('ZRANK', lane_prefix .. ring .. share, id) == 0) then
    first_came(serves, classes, ring, place)
  end
end

change.posted = change.came

-- Its gate has opened.
function change.opened(ring, share)
  if redis.call('EXISTS', lane_prefix .. ring .. share) == 1 and join_ring(ring, share) then
    local place, first = next_in_ring(ring)
    if first == share then first_came(serves, classes, ring, place) end
  end
end

function change.left(ring, share)
  if redis.call('EXISTS', lane_prefix .. ring .. share) == 0 then leave_ring(ring, share) end
  first_left(lanes, serves, classes, ring, (next_in_ring(ring)))
end

-- Repairs what was lost. Returns the place of the job that is next in the ring.
function change.seen(ring, share)
  local waiting = redis.pcall('ZCARD', lane_prefix .. ring .. share)
  if type(waiting) == 'number' and waiting > 0 then join_ring(ring, share) else leave_ring(ring, share) end
  return (next_in_ring(ring))
end
