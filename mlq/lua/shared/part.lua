-- The part of a job in a pipeline. A record has under `part`: its `root`, the job that the whole pipeline was posted as; `tail`,
-- the job that gets its outcome; `into`, the join that waits for it as one part of a split.
--- include options
--- include lapse_keys

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

-- Counts a step of a pipeline with its root, unless that is gone.
local function count_step(root, what, by)
  if redis.pcall('HEXISTS', jobs .. root, 'steps') == 1 then
    redis.call('HINCRBY', jobs .. root, what, by)
  end
end

-- The place of a job in its lane is its id; a step's is right behind its root's, so that pipelines that have begun are
-- finished before new ones begin. Steps of one root are in the order of their ids, up to a million of them.
local function place_of(id, options)
  local root = tonumber(part_of(options).root or '')
  return root and string.format('%.17g', root + math.max(0, math.min(id - root, 1e6)) / 1000001) or id
end
