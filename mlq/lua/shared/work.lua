-- Does what the end or the requeue of a job changes for the jobs around it. That may be any number of jobs: a script does 500
-- steps at most, and puts the rest into the list of chores, which the next call of `work` goes on with.
--- include chores_end
--- include chores_cancel
--- include chores_revive
--- include chores_delete

-- An error in words: since Redis 7, those of commands are tables.
local function said(error)
  return tostring(type(error) == 'table' and error.err or error)
end

-- Does what is due, up to 500 steps, and of what earlier scripts left no more than `most_left` (50 unless given): whoever ends a job
-- must not pay for others, who may have left any number of chores. Returns how many are left. A chore that meets a damaged key
-- ends there, and the others are done all the same.
local function work(now, most_left)
  local budget, done = 500, 0
  local is_own = true
  while budget > 0 do
    done = done + 1
    if not todo[done] then
      local kept = redis.pcall('LPOP', chores)
      if type(kept) ~= 'string' then return 0 end
      if is_own then is_own, budget = false, math.min(budget, most_left or 50) end
      local ok, read = pcall(cmsgpack.unpack, kept)
      todo[done] = ok and type(read) == 'table' and read or {}
    end
    budget = budget - 1
    local what = chore[todo[done][1]]
    if what and type(todo[done][2]) == 'string' then
      local ok, steps = pcall(what, now, unpack(todo[done], 2))
      if not ok then redis.log(redis.LOG_WARNING, 'mlq: ' .. todo[done][1] .. ' ' .. todo[done][2] .. ' failed: ' .. said(steps)) end
      budget = budget - (ok and steps or 0)
    end
  end
  for i = done + 1, #todo do
    -- an end without the options that this script knew: they may be long, and a later one reads them
    redis.call('RPUSH', chores, cmsgpack.pack({unpack(todo[i], 1, todo[i][1] == 'end' and 3 or 5)}))
  end
  return tonumber(redis.pcall('LLEN', chores)) or 0
end
