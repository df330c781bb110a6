-- Queues the callback that tells `url` how job `id` ended. It lapses after a day, should nobody ever deliver it.
local function queue_callback(callbacks, stem, now, id, url, state, said, says)
  local success = state == 'succeeded' and '1' or '0'
  redis.call('DEL', stem .. id)
  redis.call('HSET', stem .. id, 'url', url, 'success', success, 'says', says, 'said', said, 'ended', now, 'tries', 0)
  redis.call('EXPIRE', stem .. id, 86400)
  redis.call('ZADD', callbacks, now, id)
end
