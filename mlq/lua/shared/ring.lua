-- The ring of a lane whose jobs have shares: the shares with jobs that wait, by their virtual time, which is the time of workers that a
-- share has used, divided by its weight. The share with the least is next. These keys belong to the ring `lane:<lane>|`:
--   lane:<lane>|<share>  zset  the jobs of a share that wait, by place
--   lane:<lane>||times   zset  the virtual times of shares without such jobs; that of the empty name is the clock: the time that the
--                              share had which was served last
--   lane:<lane>||means   hash  how long a share's jobs take, as a running mean; the empty name has that of all
-- Uses the locals `lane_prefix` and `lanes`. Include this where it is used, in a block of its own, as times.lua.

-- Takes a share out of the ring that has no jobs left, or whose `gate` is closed. Keeps its time: the one given, or that which it has
-- there.
local function leave_ring(ring, share, time, gate)
  local score = not time and redis.pcall('ZSCORE', lane_prefix .. ring, share)
  time = time or type(score) == 'string' and tonumber(score)
  if time then
    redis.call('ZREM', lane_prefix .. ring, share)
    redis.pcall('ZADD', lane_prefix .. ring .. '|times', string.format('%.17g', time), share)
  end
  if gate then gating.park(ring, share, gate) else redis.pcall('SREM', lanes, ring .. share) end
end
