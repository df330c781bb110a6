-- What is told of a schedule. Uses the locals `schedule_due`, `courses`, `jobs` and `posts`.
--- include fields
--- include head

-- The state of job 'id stamp'; '' if it is gone.
local function state_of(job)
  local id, stamp = string.match(job or '', '^(%d+) (%d+%.%d+)$')
  if not id or stamp_in(read_head(posts .. id)) ~= stamp then return '' end
  return read_fields(jobs .. id, 'state')[1] or 'queued'
end

-- Adds name, declaration, when it is due, the state of its last job, and fields of its course; '' for what is not there. The body of
-- its jobs only if `whole`: a page must not be large.
local function add_row(reply, name, declaration, whole)
  local due = redis.pcall('ZSCORE', schedule_due, name)
  local own = read_fields(courses .. name, 'job', 'lane', whole and 'body' or '', 'anchor', 'changed', 'owner', 'declared', 'paused', 'last',
    'posted', 'missed', 'skipped')
  for _, value in ipairs({name, declaration, type(due) == 'string' and due or '', state_of(own[1])}) do reply[#reply + 1] = value end
  for field = 1, 12 do reply[#reply + 1] = own[field] or '' end
end
