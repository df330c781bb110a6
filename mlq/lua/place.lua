-- Where a waiting job stands in its lane.
-- KEYS  those of shared/lapse.lua
-- ARGV  id
-- RETURNS  {'gone'} · {'ok', jobs before it or false when it does not wait, lane}
--- include clock
--- include wake
--- include history
--- include announce
--- include finish
--- include line_up
--- include lapse
local lane = lane_of(posts, ARGV[1])
if not lane then
  return {'gone'}
end
return {'ok', redis.call('ZRANK', lane_stem .. lane, ARGV[1]), lane}
