-- Notifies everybody who waits for job `id` that it ended. The message includes a small outcome, to save the waiter a
-- round trip, and with it the job's stamp as `posted`, since a waiter may mean another job with this id.
--- include head
--- include inbox
local function announce(jobs, posts, waiters, inboxes, id)
  local key = waiters .. id
  local names = redis.pcall('SMEMBERS', key) -- a key of another type means no waiters
  if #names == 0 and not names.err then
    return
  end
  local message = id
  if redis.call('HSTRLEN', jobs .. id, 'result') + redis.call('HSTRLEN', jobs .. id, 'short') < 8192 then
    local fields = redis.call('HGETALL', jobs .. id)
    fields[#fields + 1] = 'posted'
    fields[#fields + 1] = stamp_in(read_head(posts .. id))
    local packed = cmsgpack.pack(fields)
    if #fields > 2 and #packed < 16384 then -- a deleted job has no fields, one that failed often may have a lot
      message = id .. ' ' .. packed
    end
  end
  for _, name in ipairs(names) do
    send(inboxes .. name, message)
  end
  redis.call('DEL', key)
end

-- Notifies the followers of a running job that there is something new. An inbox that nobody reads gets at most 100
-- messages; the last one says that any job may have changed.
local function notify_followers(waiters, inboxes, id)
  for _, name in ipairs(redis.pcall('SMEMBERS', waiters .. id)) do
    local waiting = tonumber(redis.pcall('LLEN', inboxes .. name)) or 0
    if waiting < 100 then
      send(inboxes .. name, waiting == 99 and '*' or id)
    end
  end
end
