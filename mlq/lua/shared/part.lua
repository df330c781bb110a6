-- The part of a job in a pipeline. A record has under `part`: its `root`, the job that the whole pipeline was posted as; `tail`,
-- the job that gets its outcome; `into`, the join that waits for it as one part of a split.
--- include options
--- include lapse_keys
--- include fields
--- include whole

-- What a record says about its place in a pipeline: ids only, whatever was written there.
local function part_of(options)
  local part, found = options.part, {}
  if type(part) == 'table' then
    for _, name in ipairs({'root', 'tail', 'into'}) do
      found[name] = type(part[name]) == 'string' and is_id(part[name]) and part[name] or nil
    end
  end
  return found
end

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
local function place_of(id, options)
  local root = tonumber(part_of(options).root or '')
  return root and string.format('%.17g', root + math.max(0, math.min(id - root, 1e6)) / 1000001) or id
end
