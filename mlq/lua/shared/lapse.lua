-- Ends an attempt that nobody settles: `lose` puts its job back into its lane, or buries it among the dead letters when
-- that has happened too often. Needs line_up, wake, announce and finish, and these keys:
-- KEYS  leases zset · jobs stem · posts stem · lane stem · lanes set · version string · wakes stem · dead zset
--       · waiters stem · inboxes stem · callbacks zset · callback stem
local leases, jobs, posts, lane_stem, lanes, version = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local wakes, dead, waiters, inboxes, callbacks, callback = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]

-- The options that job `id` was posted with. Read them before the first write: a record may hold anything.
local function options_of(id)
  local head = redis.call('GETRANGE', posts .. id, 0, 1199)
  local size, start = string.match(head, '^[^\n]+\n[^\n]+\n(%d%d?%d?%d?%d?)\n()')
  if not size or size == '0' then
    return {}
  end
  local options = redis.call('GETRANGE', posts .. id, start - 1, start + size - 2)
  local ok, read = pcall(cmsgpack.unpack, options)
  return ok and type(read) == 'table' and read or {}
end

local function callback_url(id)
  local url = options_of(id).callback
  return type(url) == 'string' and url or nil
end

local function bury(now, id, lease, reason, kind, text)
  local url = callback_url(id)
  redis.call('HSET', jobs .. id, 'state', 'failed', 'finished', now, 'reason', reason, 'error_type', kind, 'error', text)
  redis.call('HDEL', jobs .. id, 'token', 'waits_for')
  redis.call('ZREM', leases, lease)
  redis.call('ZADD', dead, now, id)
  if url then
    queue_callback(callbacks, callback, now, id, url, 'failed', '', '0')
  end
  announce(waiters, inboxes, id)
end

local function give_back(id, lease, lane, reason)
  redis.call('HSET', jobs .. id, 'state', 'queued', 'reason', reason)
  redis.call('HDEL', jobs .. id, 'token', 'progress', 'started', 'worker', 'waits_for')
  redis.call('ZREM', leases, lease)
  line_up(lane_stem, lanes, version, wakes, lane, id)
end
