-- Queues the deliveries for the end of job `id`. A callback is small, and expires after a day if nobody sends it.
local function queue_callback(deliveries, prefix, now, id, url, state, said, says)
  local name = prefix .. 'callback:' .. id
  local success = state == 'succeeded' and '1' or '0'
  redis.call('DEL', name)
  redis.call('HSET', name, 'url', url, 'success', success, 'says', says, 'said', said, 'queued', now, 'tries', 0)
  redis.call('EXPIRE', name, 86400)
  redis.call('ZADD', deliveries .. 'callback', now, id)
end

-- A webhook has more content, all of which is copied here, since it is tried for days and the job may be gone by then.
-- A result that is too large is left out. The webhook expires a week after its last try.
local function queue_webhook(deliveries, prefix, jobs, posts, now, id, url)
  local name, job = prefix .. 'webhook:' .. id, jobs .. id
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

-- Queues both, as far as there are URLs. A URL that is not a string was not written by an MLQ client, and is ignored.
local function queue_deliveries(deliveries, prefix, jobs, posts, now, id, callback, webhook, state, said, says)
  if type(callback) == 'string' and callback ~= '' then
    queue_callback(deliveries, prefix, now, id, callback, state, said, says)
  end
  if type(webhook) == 'string' and webhook ~= '' then
    queue_webhook(deliveries, prefix, jobs, posts, now, id, webhook)
  end
end

local function drop_deliveries(deliveries, prefix, id)
  for _, kind in ipairs({'callback', 'webhook'}) do
    redis.call('ZREM', deliveries .. kind, id)
    redis.call('DEL', prefix .. kind .. ':' .. id)
  end
end
