-- What changes the ring of a lane with a share (ring.lua). One function, which defines others when it is first called: scripts that meet
-- no shares pay for one alone.
--- include lane
--- include wake
--- include fields

local change -- by what has happened

-- `how` is 'came' if job `id` has come to the lane, 'posted' if that job can't be the first one of a lane with others; 'left' if some
-- have left it; 'used' if an attempt of job `id` ends; 'opened' if the gate of the share has opened; 'seen' if the lane is in the set of
-- those with jobs.
local function change_share(lane_prefix, lanes, serves, classes, how, lane, id, now, used)
  local ring, share = string.match(lane, '^([^|]*|)(.*)$')
  if how == 'posted' and type(redis.pcall('ZSCORE', lane_prefix .. ring, share)) == 'string' then return end
  if not change then
--- include ring_changes
  end
  return change[how](ring, share, id, now, used)
end
