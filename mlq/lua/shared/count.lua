-- Adds to a queue's metrics. A namespace counts 200 queues separately, and all later ones together, so that nobody can
-- fill the server with names. Errors are ignored, so a key that is not a hash stays as it is: counting must not stop
-- anything.
--- include whole
local function count(metrics, queue, what, by)
  if queue ~= '(other)' and redis.pcall('HEXISTS', metrics, queue .. ':') == 0 then
    local queues = whole(redis.call('HGET', metrics, 'queues'))
    if queues < 200 then
      redis.call('HSET', metrics, 'queues', queues + 1)
      redis.call('HSET', metrics, queue .. ':', 1)
    else
      queue = '(other)'
    end
  end
  redis.pcall('HINCRBY', metrics, queue .. ':' .. what, by)
end

-- Counts an attempt whose end no worker reports.
local function count_end(metrics, lane, outcome)
  count(metrics, lane and string.match(lane, '^[^:|]*') or '(other)', 'attempts:' .. outcome, 1)
end
