-- Groups all lanes anew (gate_index.lua), since other gates are theirs now.
--- include wake

-- Has all classes of workers make their indexes anew. Call this when `gates` has another value. That of a class is made one that
-- `gates` never has, so its claims have it registered; also if there were gates only for a while, and lanes were told of meanwhile.
-- Until then, the colon that marks incomplete indexes keeps its workers from resting.
local function regroup(gates, classes)
  for _, name in ipairs(redis.pcall('ZRANGE', string.sub(gates, 1, -6) .. 'classes', 0, 9999)) do
    local ready = classes .. name .. ':ready'
    if redis.call('EXISTS', ready) == 1 then
      change_index(ready, 'ZADD', ready, 'inf', ':')
      redis.call('SET', classes .. name .. ':gates', 'others', 'EX', 100) -- as long as the index
    end
    wake(classes .. name)
  end
end
