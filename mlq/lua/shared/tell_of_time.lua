-- Has workers look at the time of a job, if that may be before the looks that all of them make by themselves.
--- include inbox

local SOON = 3 -- seconds: twice the time between two looks of a worker

-- Tells three workers that something is `due`: those that said last that they live, since others may be dead.
local function tell_of_time(workers, inboxes, due, now)
  if due - now >= SOON then return end
  for _, name in ipairs(redis.pcall('ZREVRANGE', workers, 0, 2)) do
    local waiting = tonumber(redis.pcall('LLEN', inboxes .. name)) or 0
    if waiting < 100 then send(inboxes .. name, string.format('due %.6f', due - now)) end
  end
end
