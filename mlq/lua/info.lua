-- Everything stored about a job, in one consistent snapshot, except its message and result, which may be large.
-- KEYS  post string · job hash · scheduled zset
-- ARGV  id
-- RETURNS  {the record with nil for its message, or '', fields and values, when it is due or false}
local post, job, scheduled = KEYS[1], KEYS[2], KEYS[3]
local head = redis.call('GETRANGE', post, 0, 1100)
local lane, posted, size = string.match(head, '^([^\n]*)\n([^\n]*)\n(%d+)\n')
local record = head
if lane then
  local start = #lane + #posted + #size + 3
  record = redis.call('GETRANGE', post, 0, start + tonumber(size) - 1) .. '\192' -- MessagePack's nil
end
local reply = {}
for _, name in ipairs(redis.call('HKEYS', job)) do
  if name ~= 'result' and name ~= 'short' then
    reply[#reply + 1], reply[#reply + 2] = name, redis.call('HGET', job, name)
  end
end
local due = redis.pcall('ZSCORE', scheduled, ARGV[1])
return {record, reply, type(due) == 'string' and due}
