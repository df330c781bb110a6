-- Everything that is kept of a job, as of one moment.
-- KEYS  post string · job hash
-- RETURNS  {record or false, fields and values}
local post, job = KEYS[1], KEYS[2]
return {redis.call('GET', post), redis.call('HGETALL', job)}
