-- How far a pipeline has come.
--- include fields
--- include whole

-- Of the steps that were posted for the job with this key: how many succeeded, how many ended otherwise, and how many there
-- are, packed; false if there are none.
local function steps_done(key)
  local counts = read_fields(key, 'steps', 'done', 'bad')
  return counts[1] and cmsgpack.pack({whole(counts[2]), whole(counts[3]), whole(counts[1])})
end
