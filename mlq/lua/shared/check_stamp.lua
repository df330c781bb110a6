-- Checks that the job that has the id now is the one that the caller means: the one with the stamp `asked`, or any if that
-- is ''. `head`: of its record, if that was read. Returns the job's stamp, and what to reply if it is not the one: 'other' or
-- 'gone'. Call this before the first write.
--- include head
local function check_stamp(post, job, asked, head)
  local stamp = stamp_in(head or read_head(post))
  if asked == '' or stamp == asked then
    return stamp, nil
  elseif stamp ~= '' then
    return stamp, 'other'
  end
  -- No stamp: the record may be damaged, or gone because bury_broken made the job a dead letter. Otherwise there is no job.
  local there = redis.call('EXISTS', post) == 1 or redis.pcall('HGET', job, 'error_type') == 'mlq.errors.Undecodable'
  return stamp, not there and 'gone' or nil
end
