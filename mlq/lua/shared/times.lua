-- When jobs that are posted may begin, and how soon. Include this where it is used, as a block: each function that a
-- script defines costs it up to 1 us, and most posts have no such options. Uses the locals of post.lua.
--- include tell_of_time

local PAST = 60 -- seconds for which a time that is over counts as now

-- Reads `when` (`JobOptions.when`). Nil and a word if that is not possible: 'past' or 'expired'.
local function times_in(when, now)
  local priority, delay, at, expires = string.match(when, '^(%S+) (%S+) (%S+) (%S+)$')
  local due, last = tonumber(at) or now + (tonumber(delay) or 0), tonumber(expires) and now + expires
  if now - due > PAST then return nil, 'past' end
  if last and due >= last then return nil, 'expired' end
  local times = {priority = tonumber(priority) or 0, due = due > now + 0 and due or nil} -- nil: it may begin now

  -- Its place in its lane, as that of place_of in part.lua.
  function times.place(id)
    return times.priority == 0 and id or string.format('%.17g', id - times.priority * 2 ^ 43)
  end

  -- `is_ready`: it waits for no others.
  function times.store(id, is_ready)
    if times.due and is_ready then
      redis.call('HSET', jobs .. id, 'state', 'scheduled')
      redis.call('ZADD', scheduled, string.format('%.6f', due), id)
    end
    if last then redis.call('ZADD', expiring, string.format('%.6f', last), id) end
  end

  -- Has workers look in time, and later posts look whether they come before jobs of a lower priority.
  function times.tell()
    local first = times.due or last
    if first then tell_of_time(workers, inboxes, first, now) end
    if times.priority < 0 then redis.call('SET', low_priority, '1') end
  end

  return times
end
