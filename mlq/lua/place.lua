-- Where a waiting job stands in its lane.
-- KEYS  those of shared/lapse.lua
-- ARGV  id · stamp of the job that is meant, or '' for whichever has the id
-- RETURNS  {'gone'} · {'other'} · {'ok', jobs before it or false when it does not wait, lane}
--- include lapse
--- include meant
local _, word = meant(posts .. ARGV[1], jobs .. ARGV[1], ARGV[2])
if word then
  return {word}
end
local lane = lane_of(posts, ARGV[1])
if not lane then
  return {'gone'}
end
return {'ok', redis.call('ZRANK', lane_stem .. lane, ARGV[1]), lane}
