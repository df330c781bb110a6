-- Tells everybody who waits for job `id` that it ended. Inboxes lapse after a minute: a waiter that lives asks again
-- sooner than that. A small outcome travels along, which spares the waiter a round trip to fetch it, and with it the
-- job's stamp, as `posted`: a waiter may mean another job of that id.
--- include head
local function announce(jobs, posts, waiters, inboxes, id)
  local key = waiters .. id
  local names = redis.call('SMEMBERS', key)
  if #names == 0 then
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
    redis.call('RPUSH', inboxes .. name, told)
    redis.call('EXPIRE', inboxes .. name, 60)
  end
  redis.call('DEL', key)
end

-- Lets those that follow a running job look again. One that does not listen is told 100 times at most; the last time,
-- that it may be any job.
local function hint(waiters, inboxes, id)
  for _, name in ipairs(redis.call('SMEMBERS', waiters .. id)) do
    local told = redis.call('LLEN', inboxes .. name)
    if told < 100 then
      redis.call('RPUSH', inboxes .. name, told == 99 and '*' or id)
      redis.call('EXPIRE', inboxes .. name, 60)
    end
  end
end
