-- Records how a try of a delivery went, in the delivery's hash and in the log of its job, which keeps the last 20 tries.
-- Guarantee: only the current try is recorded; without a next try, the delivery is removed, otherwise kept for a week more.
-- KEYS  deliveries zset · delivery hash · job hash · metrics hash
-- ARGV  kind · id · time when it was queued · how often it was taken · status of the response, or ''
--       · what to record ('sent', or why not) · seconds until the next try, or '' for none
-- RETURNS  'ok' or 'gone'
--- include clock
--- include whole
local deliveries, delivery, job, metrics = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local kind, id, note = ARGV[1], ARGV[2], ARGV[6]
local known = redis.call('HMGET', delivery, 'queued', 'tries', 'failed')
if known[1] ~= ARGV[3] or known[2] ~= ARGV[4] then
  return 'gone'
end
local try = whole(known[3]) + 1
local now, due = clock(), ''
redis.call('ZREM', deliveries, id) -- first: a full server allows this, and then every later write of the script, too
if ARGV[7] == '' then
  redis.call('DEL', delivery)
else
  due = string.format('%.6f', now + tonumber(ARGV[7]))
  redis.call('ZADD', deliveries, due, id)
  redis.call('HSET', delivery, 'failed', try)
  redis.call('EXPIRE', delivery, 604800)
end
if redis.call('EXISTS', job) == 1 then
  local kept = redis.call('HGET', job, 'deliveries')
  local tries = kept and cmsgpack.unpack(kept) or {}
  tries[#tries + 1] = {kind, tostring(try), now, ARGV[5], note, due}
  if #tries > 20 then
    table.remove(tries, 1)
  end
  redis.call('HSET', job, 'deliveries', cmsgpack.pack(tries))
  if kind == 'callback' then
    redis.call('HSET', job, 'callback_outcome', note)
  end
end
local outcome = note == 'sent' and 'sent' or due ~= '' and 'failed' or 'given up'
redis.pcall('HINCRBY', metrics, ':' .. kind .. ':' .. outcome, 1) -- counting must not stop anything
return 'ok'
