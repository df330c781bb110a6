-- Everything stored about a job, in one consistent snapshot, except its message and result, which may be large.
-- KEYS  post string · job hash · scheduled zset
-- ARGV  id
-- RETURNS  {the record with nil for its message, or '', fields and values, when it is due or false}
--- include bare_record
local post, job, scheduled = KEYS[1], KEYS[2], KEYS[3]
local reply = {}
for _, name in ipairs(redis.call('HKEYS', job)) do
  if name ~= 'result' and name ~= 'short' then
    reply[#reply + 1], reply[#reply + 2] = name, redis.call('HGET', job, name)
  end
end
local due = redis.pcall('ZSCORE', scheduled, ARGV[1])
return {bare_record(post), reply, type(due) == 'string' and due}
