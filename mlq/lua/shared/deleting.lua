-- Deletes one job that does not run, with everything stored about it.
--- include expiry
--- include line_up
--- include finish
--- include announce
--- include head
--- include options
--- include later

-- Deletes one job that does not run, with everything stored about it. Uses the locals of lapse.lua.
local function delete_one(id)
  local lane, options = lane_of(posts, id), options_of(id)
  if lane then
    leave_needed(id, options)
    leave_line(lane_prefix, lanes, serves, classes, lane, id)
  end
  redis.call('ZREM', dead, id)
  redis.call('ZREM', scheduled, id)
  redis.call('ZREM', blocked, id)
  if options.expires then redis.call('ZREM', expiring, id) end
  if options.key then change_key(id, options, 'deleted') end
  drop_deliveries(deliveries, delivery, id)
  local removed = redis.call('DEL', jobs .. id, posts .. id)
  redis.call('DEL', streams .. id, jobs .. id .. ':bad', jobs .. id .. ':held', jobs .. id .. ':left')
  if redis.call('EXISTS', jobs .. id .. ':next') == 1 then
    later('end next', id, 0, 'deleted')
  end
  announce(jobs, posts, waiters, inboxes, id)
  return removed > 0
end
