-- Posts the job that another one becomes.
--- include lapse_keys
--- include last_id
--- include free_ids
--- include staged
--- include records
local counter, epoch_key, staged_prefix = KEYS[21], KEYS[22], KEYS[23]

local known -- the epoch and the counter, read once in a call

-- Writes the record of the next job; returns its id, or nil and why it can't. `name`: under which its body is staged, or nil.
local function write_next(now, epoch, lane, body, name)
  known = known or redis.call('MGET', epoch_key, counter)
  local last = last_id(known[2])
  if known[1] ~= epoch or not last then return nil, 'stale' end
  local staged = staged_prefix .. (name or '') .. ':'
  if name and not is_staged(staged .. 1, #lane + 19) then return nil, 'unstaged' end
  local first, head = last + 1, lane .. '\n' .. now .. '\n'
  if string.sub(epoch, 1, 1) == '!' then first = first_free_ids(posts, jobs, streams, first, 1) end
  known[2] = first
  if not write_records(counter, posts, staged, first, 1, head, {name and '' or body}, 0) then
    known = nil
    return nil, 'stale'
  end
  return string.format('%d', first)
end
