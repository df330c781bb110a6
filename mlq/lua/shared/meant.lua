-- Whether the job that has the id now is the one that an asker means: the one that was posted at `asked`, or whichever it
-- is where that is ''. Gives when it was posted, and, where it is another one, what to answer: 'other' or 'gone'. Read it
-- before the first write.
--- include head
local function meant(post, job, asked)
  local stamp = stamp_in(read_head(post))
  if asked == '' or stamp == asked then
    return stamp, nil
  elseif stamp ~= '' then
    return stamp, 'other'
  end
  -- a damaged record does not tell; a job whose message was missing is a dead letter that says no more than that
  local there = redis.call('EXISTS', post) == 1 or redis.pcall('HGET', job, 'error_type') == 'mlq.errors.Undecodable'
  return stamp, not there and 'gone' or nil
end
