-- An attempt's number as a text that tells the errors of earlier attempts, too.
--- include whole
--- include clock
local function with_errors(jobs, id, attempt)
  return attempt .. ' ' .. whole(redis.call('HGET', jobs .. id, 'errors'))
end

-- The reply to a claim that was sent again: those of the jobs that it got, in `last`, which it still holds.
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
