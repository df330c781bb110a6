-- The first of `count` consecutive ids that have no record, job hash or stream: after a loss, it is not known which were assigned.
-- Searches from `first` in growing steps.
local function first_free_ids(posts, jobs, streams, first, count)
  for step = 0, 30 do
    local names = {}
    for id = first, first + count - 1 do
      id = string.format('%d', id)
      names[#names + 1], names[#names + 2], names[#names + 3] = posts .. id, jobs .. id, streams .. id
    end
    if redis.call('EXISTS', unpack(names)) == 0 then break end
    first = first + 1e6 * 2 ^ step
  end
  return first
end
