-- Head and code of an uploaded listener, in one consistent snapshot. Of code that is larger than MLQ writes it, the rest is
-- left out, so its signature is wrong.
-- KEYS  uploads hash · code string
-- ARGV  name · most bytes of code
-- RETURNS  {head or false, code or false}
local uploads, code = KEYS[1], KEYS[2]
local found = redis.call('GETRANGE', code, 0, tonumber(ARGV[2]) - 1)
return {redis.call('HGET', uploads, ARGV[1]), found ~= '' and found}
