-- Notifies the workers that accept uploads that these changed. An inbox that nobody reads gets no more once it holds 100
-- messages; a worker that is busy checks the version by itself.
--- include clock
--- include inbox
local function tell_of_uploads(uploads_version, workers, worker_prefix, inboxes)
  local now = clock()
  redis.call('SET', uploads_version, now)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', workers, now, '+inf')) do
    local inbox = inboxes .. name
    local waiting = tonumber(redis.pcall('LLEN', inbox)) or 0
    if redis.pcall('HGET', worker_prefix .. name, 'uploads') == 'accepted' and waiting < 100 then
      send(inbox, 'uploads')
    end
  end
end
