-- Sets the limit of a gate (a queue, function, resource or share), or removes it.
-- Guarantee: from then on, no job begins that the limit forbids; those that run go on, and count. Setting what is set already
-- changes nothing.
-- KEYS  those of shared/lapse.lua
-- ARGV  gate · packed map of the limit, or '' to remove it · most gates that may have limits
-- RETURNS  1 if it was another one before · 0 if not · -1 if too many gates have limits
--- include lapse_keys
if redis.call('EXISTS', gates) == 0 then redis.call('SET', gates, '0') end -- what is included now needs it
--- include clock
--- include work
--- include gate_looks
--- include gate_changes
local name, packed, limits = ARGV[1], ARGV[2], string.sub(gates, 1, -6) .. 'limits'
delete_if_wrong_type(limits, 'hash')
local before = redis.call('HGET', limits, name)

local function unpacked(limit)
  local ok, found = pcall(cmsgpack.unpack, limit or '')
  return ok and type(found) == 'table' and found or {}
end

local old, new = unpacked(before), unpacked(packed)
local is_same = (packed == '') == not before
for _, field in ipairs({'running', 'starts', 'per', 'length'}) do
  is_same = is_same and old[field] == new[field]
end
local is_full = not before and redis.call('HLEN', limits) >= tonumber(ARGV[3])
local existed = gating.read(name)
if is_same or is_full and packed ~= '' then
  gate_changed(name, existed)
  return is_same and 0 or -1
end
if packed == '' then
  redis.call('HDEL', limits, name)
else
  if new.running and (not old.running or old.from) then new.from = '0' end
  redis.call('HSET', limits, name, cmsgpack.pack(new))
  gating.read(name)
  count_running(name)
end
gate_changed(name, existed)
return 1
