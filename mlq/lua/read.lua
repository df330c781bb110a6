-- Everything stored about a job, in one consistent snapshot.
-- KEYS  post string · job hash · scheduled zset
-- ARGV  id
-- RETURNS  {record or false, fields and values, when it is due or false}
local post, job, scheduled = KEYS[1], KEYS[2], KEYS[3]
local due = redis.pcall('ZSCORE', scheduled, ARGV[1])
return {redis.call('GET', post), redis.call('HGETALL', job), type(due) == 'string' and due}
