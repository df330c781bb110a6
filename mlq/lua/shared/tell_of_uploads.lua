-- Lets the workers that accept uploads know that these changed. One that does not listen is told 100 times at most; those
-- that are busy look for the version by themselves.
--- include clock
local function tell_of_uploads(uploads_version, workers, worker_stem, inboxes)
  local now = clock()
  redis.call('SET', uploads_version, now)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', workers, now, '+inf')) do
    local inbox = inboxes .. name
    if redis.pcall('HGET', worker_stem .. name, 'uploads') == 'accepted' and redis.call('LLEN', inbox) < 100 then
      redis.call('RPUSH', inbox, 'uploads')
      redis.call('EXPIRE', inbox, 60)
    end
  end
end
