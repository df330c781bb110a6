-- An attempt's number and the number of earlier attempts that ended in an error, as one string.
--- include whole
--- include clock
local function with_errors(jobs, id, attempt)
  return attempt .. ' ' .. whole(redis.call('HGET', jobs .. id, 'errors'))
end

-- The reply to a claim that was sent again: of the jobs that it got (`last`), those that it still holds.
local function claimed_again(jobs, posts, last, token)
  local reply = {'ok', clock()}
  for id in string.gmatch(last, ' ([^ ]+)') do
    local held = redis.call('HMGET', jobs .. id, 'token', 'attempts')
    if held[1] == token then
      reply[#reply + 1], reply[#reply + 2] = id, with_errors(jobs, id, whole(held[2]))
      reply[#reply + 1] = redis.call('GET', posts .. id)
    end
  end
  return reply
end
