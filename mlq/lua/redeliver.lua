-- Queues the webhook of a job that ended, at once and with all its tries, whatever became of the last ones.
-- Guarantee: it tells of the same event, so it has the same id; a try that is under way counts no more.
-- KEYS  those of shared/lapse.lua
-- ARGV  id · stamp of the job that is meant, or '' for whichever has the id
-- RETURNS  {'ok'} · {'gone'} · {'other'} · {'state', the state that forbids it} · {'none'} when the job has no webhook
--- include clock
--- include lapse
--- include ended
--- include meant
local id = ARGV[1]
local _, word = meant(posts .. id, jobs .. id, ARGV[2])
if word then
  return {word}
end
if not lane_of(posts, id) then
  return {'gone'}
end
local state = redis.call('HGET', jobs .. id, 'state') or 'queued'
if not ENDED[state] then
  return {'state', state}
end
local url = options_of(id).webhook
if type(url) ~= 'string' then
  return {'none'}
end
queue_webhook(deliveries, delivery, jobs, posts, clock(), id, url)
return {'ok'}
