-- The record under `post` with nil for its message, which may be large; '' if there is none.
local function bare_record(post)
  local head = redis.call('GETRANGE', post, 0, 1100)
  local lane, posted, size = string.match(head, '^([^\n]*)\n([^\n]*)\n(%d+)\n')
  if not lane then return head end
  local start = #lane + #posted + #size + 3
  return redis.call('GETRANGE', post, 0, start + tonumber(size) - 1) .. '\192' -- MessagePack's nil
end
