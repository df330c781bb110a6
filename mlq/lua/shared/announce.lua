-- Tells everybody who waits for job `id` that it ended. A small outcome travels along, which spares the waiter a round trip
-- to fetch it, and with it the job's stamp, as `posted`: a waiter may mean another job of that id.
--- include head
--- include inbox
local function announce(jobs, posts, waiters, inboxes, id)
  local key = waiters .. id
  local names = redis.pcall('SMEMBERS', key) -- a key of another type names nobody
  if #names == 0 and not names.err then
    return
  end
  local told = id
  if redis.call('HSTRLEN', jobs .. id, 'result') + redis.call('HSTRLEN', jobs .. id, 'short') < 8192 then
    local fields = redis.call('HGETALL', jobs .. id)
    fields[#fields + 1] = 'posted'
    fields[#fields + 1] = stamp_in(read_head(posts .. id))
    local packed = cmsgpack.pack(fields)
    if #fields > 2 and #packed < 16384 then -- of a deleted job there is nothing, of one that failed often very much
      told = id .. ' ' .. packed
    end
  end
  for _, name in ipairs(names) do
    send(inboxes .. name, told)
  end
  redis.call('DEL', key)
end

-- Lets those that follow a running job look again. One that does not listen is told 100 times at most; the last time,
-- that it may be any job.
local function hint(waiters, inboxes, id)
  for _, name in ipairs(redis.pcall('SMEMBERS', waiters .. id)) do
    local waiting = tonumber(redis.pcall('LLEN', inboxes .. name)) or 0
    if waiting < 100 then
      send(inboxes .. name, waiting == 99 and '*' or id)
    end
  end
end
