-- Adds what a worker has counted to the metrics of its namespace.
-- Guarantee: each report is added once, even if it is sent again.
-- KEYS  replay string · metrics hash
-- ARGV  number of the report · then per entry: queue · what · by how much
-- RETURNS  'ok'
--- include count
local replay, metrics = KEYS[1], KEYS[2]
if tonumber(redis.call('GET', replay) or '0') >= tonumber(ARGV[1]) then
  return 'ok'
end
redis.call('SET', replay, ARGV[1], 'EX', 3600)
for i = 2, #ARGV, 3 do
  count(metrics, ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
return 'ok'
