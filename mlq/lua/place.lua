-- How many jobs are ahead of a waiting job in its lane; for one that waits for others, for which.
-- KEYS  posts prefix · jobs prefix · lane prefix
-- ARGV  id · stamp of the job that is meant, or '' for any with that id
-- RETURNS  {'gone'} · {'other'} · {'ok', jobs ahead of it, or false if it does not wait in its lane, lane} · the same, about, and
--          about how many seconds these take in one slot, or '', if it has a share · {'ok', false, lane,
--          id, state and lane of the first job that it waits for and that waits for no other itself, how many jobs that one
--          waits for} if it is blocked. After 500 looks at jobs, that may be one that waits for others
--- include check_stamp
--- include head
local posts, jobs, lane_prefix = KEYS[1], KEYS[2], KEYS[3]
--- include blocker
local id = ARGV[1]
local _, word = check_stamp(posts .. id, jobs .. id, ARGV[2])
if word then
  return {word}
end
local lane = lane_of(posts, id)
if not lane then
  return {'gone'}
end
local ahead = redis.call('ZRANK', lane_prefix .. lane, id)
if ahead and string.find(lane, '|', 1, true) then
--- include ring_line
  local line, seconds = line_in_ring(lane, ahead)
  return {'ok', line, lane, tostring(seconds or '')}
end
if ahead or state_of(id) ~= 'blocked' then
  return {'ok', ahead, lane}
end
local waits_for, state = first_blocker(id)
local number = tonumber(read_fields(jobs .. waits_for, 'needs')[1] or '') or 0
return {'ok', ahead, lane, waits_for, state, lane_of(posts, waits_for) or '', number}
