-- Lets the workers that accept uploads know that these changed. One that does not listen is told 100 times at most; those
-- that are busy look for the version by themselves.
--- include clock
--- include inbox
local function tell_of_uploads(uploads_version, workers, worker_stem, inboxes)
  local now = clock()
  redis.call('SET', uploads_version, now)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', workers, now, '+inf')) do
    local inbox = inboxes .. name
    local waiting = tonumber(redis.pcall('LLEN', inbox)) or 0
    if redis.pcall('HGET', worker_stem .. name, 'uploads') == 'accepted' and waiting < 100 then
      send(inbox, 'uploads')
    end
  end
end
