-- Where a waiting job stands in its lane.
-- KEYS  posts stem · jobs stem · lane stem
-- ARGV  id · stamp of the job that is meant, or '' for whichever has the id
-- RETURNS  {'gone'} · {'other'} · {'ok', jobs before it or false when it does not wait, lane}
--- include meant
--- include head
local posts, jobs, lane_stem = KEYS[1], KEYS[2], KEYS[3]
local id = ARGV[1]
local _, word = meant(posts .. id, jobs .. id, ARGV[2])
if word then
  return {word}
end
local lane = lane_of(posts, id)
if not lane then
  return {'gone'}
end
return {'ok', redis.call('ZRANK', lane_stem .. lane, id), lane}
