-- Head and code of an uploaded listener, in one consistent snapshot.
-- KEYS  uploads hash · code string
-- ARGV  name
-- RETURNS  {head or false, code or false}
local uploads, code = KEYS[1], KEYS[2]
return {redis.call('HGET', uploads, ARGV[1]), redis.call('GET', code)}
