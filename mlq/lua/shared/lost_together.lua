-- Counts how many other attempts were lost together with one. A lease names its worker: `<id>:<worker>.<number of the
-- claim>`. All leases of a dead worker expire within seconds, but not always by the same run of reap.lua: those that have
-- yet to expire are still among the leases, and `note` has recorded those that were taken back a moment ago. An attempt
-- that only waited for another job can't be the cause, and is not counted.
--- include whole
local function worker_of(lease)
  return string.match(lease, '^[^:]*:(.*)%.[^.]*$') or ''
end

local function only_waits(jobs, lease)
  return type(redis.pcall('HGET', jobs .. string.match(lease, '^[^:]*'), 'waits_for')) == 'string'
end

-- For each worker with expired leases, the number of its attempts that may be the cause, among the first 10,000 leases.
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

-- Records for the next run how many attempts were taken back from workers that lost more than one.
local function note(taken, suspects, lost)
  for worker, number in pairs(taken) do
    if suspects[worker] > 1 then
      redis.call('SET', lost .. worker, whole(redis.pcall('GET', lost .. worker)) + number, 'EX', 10)
    end
  end
end
