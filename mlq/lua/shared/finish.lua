-- Queues what tells others that job `id` ended. A callback says little, and lapses after a day if nobody ever sends it.
local function queue_callback(deliveries, stem, now, id, url, state, said, says)
  local name = stem .. 'callback:' .. id
  local success = state == 'succeeded' and '1' or '0'
  redis.call('DEL', name)
  redis.call('HSET', name, 'url', url, 'success', success, 'says', says, 'said', said, 'queued', now, 'tries', 0)
  redis.call('EXPIRE', name, 86400)
  redis.call('ZADD', deliveries .. 'callback', now, id)
end

-- A webhook says more, and all of it is kept here, since it is tried for days and the job may be gone by then. A result
-- that is too large for it is left out. It lapses a week after its last try.
local function queue_webhook(deliveries, stem, jobs, posts, now, id, url)
  local name, job = stem .. 'webhook:' .. id, jobs .. id
  redis.call('ZADD', deliveries .. 'webhook', now, id) -- first, so that a full server refuses
  redis.call('DEL', name)
  redis.call('HSET', name, 'url', url, 'queued', now, 'tries', 0, 'head', redis.call('GETRANGE', posts .. id, 0, 1100))
  for _, field in ipairs({'state', 'attempts', 'finished', 'reason', 'error_type', 'error'}) do
    redis.call('HSET', name, field, string.sub(redis.call('HGET', job, field) or '', 1, 1000))
  end
  local short = redis.call('HEXISTS', job, 'short') == 1 and 'short' or 'result'
  local size = redis.call('HSTRLEN', job, short)
  if size > 0 and size <= 4096 then
    redis.call('HSET', name, 'short', redis.call('HGET', job, short))
  end
  redis.call('EXPIRE', name, 604800)
end

-- Both, where there are URLs: what is no text was not written by a client of ours.
local function queue_deliveries(deliveries, stem, jobs, posts, now, id, callback, webhook, state, said, says)
  if type(callback) == 'string' and callback ~= '' then
    queue_callback(deliveries, stem, now, id, callback, state, said, says)
  end
  if type(webhook) == 'string' and webhook ~= '' then
    queue_webhook(deliveries, stem, jobs, posts, now, id, webhook)
  end
end

local function drop_deliveries(deliveries, stem, id)
  for _, kind in ipairs({'callback', 'webhook'}) do
    redis.call('ZREM', deliveries .. kind, id)
    redis.call('DEL', stem .. kind .. ':' .. id)
  end
end
