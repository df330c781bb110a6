-- What a post begins with: the same call that is sent again gets the first reply. Uses the locals of post.lua.
--- include staged
--- include head

-- The reply where no job is posted.
local function post_nothing(reply)
  drop_staged(staged, ARGV, before)
  return reply
end

local known = redis.call('MGET', replay, epoch, counter, low_priority, gates)
if known[1] and (tonumber(string.match(known[1], '^(%d+) =?%d')) or 0) >= tonumber(number) then
  local was, first, other = string.match(known[1], '^%d+ (=?)(%d+) ?(.*)$')
  return post_nothing(other == fingerprint and was .. first .. ' ' .. stamp_in(read_head(posts .. first)) or 'other')
end
