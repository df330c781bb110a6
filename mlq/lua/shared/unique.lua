-- One job for a key. Include this as a block (see times.lua). Uses the locals of post.lua, and its last keys:
-- the entry of the key string · lane prefix · chores list. The entry has `<id> <stamp> <how>` of the job that took the key last: it
-- holds it as long as it waits (`w`), until it has ended (`a`), or until the entry expires (`t`). The job itself is asked each time,
-- so an entry that is left over stands in nobody's way.
--- include transitions
--- include fields
--- include head
local at = #KEYS - 2
local entry, lane_prefix, chores = KEYS[at], KEYS[at + 1], KEYS[at + 2]
local HELD = {w = 'w', a = 'a', r = 'a'} -- all others are seconds

-- The job that took the key last: its `id` and `stamp`, whether it `waits`, and whether it `holds` the key. Nil if it is gone.
local function holder()
  local held = redis.pcall('GET', entry)
  local id, stamp, how = string.match(type(held) == 'string' and held or '', '^(%d+) (%d+%.%d+) ([wat])$')
  if not id or not is_id(id) or stamp_in(read_head(posts .. id)) ~= stamp then return nil end
  local own = read_fields(jobs .. id, 'state', 'tail')
  local state = own[1] or 'queued'
  local waits = after(state, 'replace') ~= nil and not own[2] -- one with a tail has run
  local is_active = waits or state == 'running' or state == 'blocked'
  return {id = id, stamp = stamp, waits = waits, holds = how == 't' or waits or how == 'a' and is_active}
end

-- Reads `how` the job that is posted is to hold its key. Nil and the reply if it is not to be posted, since one is there.
local function unique_in(how, now)
  local there = holder()
  if there and how ~= 'r' and there.holds then
    redis.call('SET', replay, number .. ' =' .. there.id .. ' ' .. fingerprint, 'EX', fingerprint ~= '' and 86400 or 3600)
    return nil, '=' .. there.id .. ' ' .. there.stamp
  end
  local unique = {stamp = now, replaced = how == 'r' and there and there.waits and there.id or nil}

  function unique.replace()
--- block replacing
    unique.stamp = there.stamp
    take_back(there.id)
    rewrite(there.id, there.stamp, now)
    return there.id + 0
  end

  function unique.hold(id)
    local held = id .. ' ' .. unique.stamp .. ' ' .. (HELD[how] or 't')
    if HELD[how] then
      redis.call('SET', entry, held)
    else
      redis.call('SET', entry, held, 'PX', string.format('%.0f', how * 1000))
    end
  end

  return unique
end
