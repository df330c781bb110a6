-- Writes the records of jobs that are posted.
--- include staged

-- Writes the records of `count` jobs with consecutive ids. The bodies follow argument `before` of `args`; one that is '' is staged.
-- Writes none if one of the ids is taken: the counter is wrong then, and is removed (sync_counter.lua sets a new one).
local function write_records(counter, posts, staged, first, count, head, args, before)
  redis.call('SET', counter, string.format('%d', first + count - 1))
  for i = 1, count do
    local name, body = posts .. string.format('%d', first + i - 1), args[before + i]
    local is_new = body == '' and unstage(staged .. i, name, head) or body ~= '' and redis.call('SET', name, head .. body, 'NX')
    if not is_new then
      for j = 1, i - 1 do redis.call('DEL', posts .. string.format('%d', first + j - 1)) end
      redis.call('DEL', counter)
      return false
    end
  end
  return true
end
