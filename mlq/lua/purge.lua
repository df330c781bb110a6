-- Cancels one page of the jobs that wait in a lane, the last one first.
-- Guarantee: of those that it has looked at, jobs with ids up to the given one are cancelled, with the reason 'purged'; all others wait
-- on. The same call sent again goes on with those before them.
-- KEYS  those of shared/lapse.lua
-- ARGV  lane · highest id of those to cancel · place from which to go down, or '+inf' · how many jobs at that place to pass over
--       · most jobs of this call
-- RETURNS  {how many were cancelled, place from which to go on, or '' at the end, how many jobs at that place to pass over, chores left}
--- include clock
--- include work
local lane, last, at, passed, most = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local now, cancelled = clock(), 0
local found = redis.pcall('ZREVRANGEBYSCORE', lane_prefix .. lane, at, '-inf', 'WITHSCORES', 'LIMIT', passed, most)

-- Whether it is a job of this lane that waits, and was posted before the purge began.
local function is_meant(id)
  if not is_id(id) or id + 0 > last or lane_of(posts, id) ~= lane then return false end
  delete_if_wrong_type(jobs .. id, 'hash')
  return (redis.call('HGET', jobs .. id, 'state') or 'queued') == 'queued'
end

for i = 1, #found, 2 do -- none if the key is of another type
  if found[i + 1] ~= at then
    at, passed = found[i + 1], 0
  end
  if is_meant(found[i]) then
    cancel_one(now, found[i], 'purged')
    cancelled = cancelled + 1
  else
    passed = passed + 1
  end
end
return {cancelled, #found == 2 * most and at or '', passed, work(now)}
