-- How many jobs are ahead of a waiting job in its lane.
-- KEYS  posts prefix · jobs prefix · lane prefix
-- ARGV  id · stamp of the job that is meant, or '' for any with that id
-- RETURNS  {'gone'} · {'other'} · {'ok', jobs ahead of it, or false if it does not wait in its lane, lane}
--- include check_stamp
--- include head
local posts, jobs, lane_prefix = KEYS[1], KEYS[2], KEYS[3]
local id = ARGV[1]
local _, word = check_stamp(posts .. id, jobs .. id, ARGV[2])
if word then
  return {word}
end
local lane = lane_of(posts, id)
if not lane then
  return {'gone'}
end
return {'ok', redis.call('ZRANK', lane_prefix .. lane, id), lane}
