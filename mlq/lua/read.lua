-- Everything stored about a job, in one consistent snapshot.
-- KEYS  post string · job hash
-- RETURNS  {record or false, fields and values}
local post, job = KEYS[1], KEYS[2]
return {redis.call('GET', post), redis.call('HGETALL', job)}
