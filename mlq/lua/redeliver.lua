-- Queues the webhook of a job that ended once more, due now and with all its tries, however the earlier ones went.
-- Guarantee: it is the same event, with the same id; the outcome of a try that is under way is ignored.
-- KEYS  those of shared/lapse.lua
-- ARGV  id · stamp of the job that is meant, or '' for any with that id
-- RETURNS  {'ok'} · {'gone'} · {'other'} · {'state', the state that forbids it} · {'none'} if the job has no webhook
--- include clock
--- include lapse
--- include ended
--- include check_stamp
local id = ARGV[1]
local _, word = check_stamp(posts .. id, jobs .. id, ARGV[2])
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
