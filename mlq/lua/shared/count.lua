-- Adds to what is counted of a queue. A namespace keeps 200 queues apart, and counts those that come later as one, so that
-- nobody fills the server with names. Counting stops nothing: what stands under the key and is no hash of ours stays so.
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

-- Counts an attempt whose end no worker tells.
local function count_end(metrics, lane, outcome)
  count(metrics, lane and string.match(lane, '^[^:]*') or '(other)', 'attempts:' .. outcome, 1)
end
