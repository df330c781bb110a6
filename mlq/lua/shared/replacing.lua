-- Has a job that waits become the one that is posted. Include this as a block (see times.lua). Uses the locals of unique.lua.
--- include line_up
--- include options
--- include staged
--- include delete_if_wrong_type

-- Takes a job that waits out of all that it waits in, as if it had just been posted. What it was posted `after` may expire.
local function take_back(id)
  local options, lane = options_of(id), lane_of(posts, id)
  delete_if_wrong_type(jobs .. id, 'hash')
  redis.call('HSET', jobs .. id, 'state', 'queued') -- first, so that a full server refuses
  redis.call('HDEL', jobs .. id, 'needs', 'errors', 'losses', 'shared', 'overruns', 'reason', 'lasts', 'by', 'cause')
  leave_line(lane_prefix, lanes, serves, classes, lane, id)
  for _, times in ipairs({scheduled, blocked, expiring}) do redis.call('ZREM', times, id) end
  redis.call('DEL', jobs .. id .. ':bad')
  for _, needed in ipairs(needed_by(options)) do
    redis.call('ZREM', jobs .. needed .. ':next', id)
    redis.call('RPUSH', chores, cmsgpack.pack({'release', needed}))
  end
end

-- Writes a new record in the place of another one. Its times begin `now`, which goes into the option `since`.
local function rewrite(id, stamp, now)
  local name, body, head = posts .. id, ARGV[#ARGV], lane .. '\n' .. stamp .. '\n'
  if body == '' then
    redis.call('DEL', name)
    unstage(staged .. 1, name, head)
  else
    redis.call('SET', name, head .. body)
  end
  local found = string.find(redis.call('GETRANGE', name, #head, #head + 30), '\165since\203', 1, true)
  if found then redis.call('SETRANGE', name, #head + found + 6, struct.pack('>d', now)) end
end
