-- With how many others an attempt was lost. A lease names its worker: `<id>:<worker>.<number of the claim>`. All that a
-- dead worker held runs out within seconds, but not always in one look: what is yet to run out is among the leases, and
-- what was taken a moment ago was written down. An attempt that only waited for another job is not the cause, nor counted.
--- include whole
local function worker_of(lease)
  return string.match(lease, '^[^:]*:(.*)%.[^.]*$') or ''
end

local function only_waits(jobs, lease)
  return type(redis.pcall('HGET', jobs .. string.match(lease, '^[^:]*'), 'waits_for')) == 'string'
end

-- Per worker of the lapsed leases the attempts that may be the cause, of the first 10,000 that run anywhere.
local function suspects_of(lapsed, leases, jobs, lost)
  local found = {}
  for _, lease in ipairs(lapsed) do
    local worker = worker_of(lease)
    found[worker] = found[worker] or whole(redis.pcall('GET', lost .. worker))
  end
  if #lapsed > 0 then
    for _, lease in ipairs(redis.call('ZRANGE', leases, 0, 9999)) do
      local worker = worker_of(lease)
      if found[worker] and not only_waits(jobs, lease) then
        found[worker] = found[worker] + 1
      end
    end
  end
  return found
end

-- Writes down how many were taken of those that had company, for the next look.
local function note(taken, suspects, lost)
  for worker, number in pairs(taken) do
    if suspects[worker] > 1 then
      redis.call('SET', lost .. worker, whole(redis.pcall('GET', lost .. worker)) + number, 'EX', 10)
    end
  end
end
