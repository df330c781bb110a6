-- Counts and places the steps of a pipeline.
--- include options
--- include lapse_keys
--- include fields
--- include whole

-- Counts a step of a pipeline with its root, unless that is gone. Returns whether one more percent of the steps has ended, and
-- the state of the root.
local function count_step(root, what, by)
  local counts = read_fields(jobs .. root, 'steps', 'done', 'bad', 'state')
  local of, ended = whole(counts[1]), whole(counts[2]) + whole(counts[3])
  if of > 0 then
    redis.call('HINCRBY', jobs .. root, what, by)
  end
  return of > 0 and math.floor(100 * (ended + by) / of) > math.floor(100 * ended / of), counts[4]
end

-- The place of a job in its lane is its id; a step's is right behind its root's, so that pipelines that have begun are
-- finished before new ones begin. Steps of one root are in the order of their ids, up to a million of them.
-- A priority moves the place by 2 ^ 43, so that priorities mix only after so many jobs. Such a place is exact to an eighth: there,
-- steps are in the order of the lengths of their ids, and those of the same length have the same place, which Redis puts in the
-- order of their ids as texts.
local function place_of(id, options)
  local root, priority = tonumber(part_of(options).root or ''), tonumber(options.priority) or 0
  if priority ~= 0 and math.abs(priority) <= 100 then -- false for what is no number
    local longer = root and #id - #string.format('%d', root) or 0
    return string.format('%.17g', (root or id) - math.floor(priority) * 2 ^ 43 + math.max(0, math.min(longer, 7)) / 8)
  end
  return root and string.format('%.17g', root + math.max(0, math.min(id - root, 1e6)) / 1000001) or id
end
