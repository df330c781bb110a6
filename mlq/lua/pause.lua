-- Pauses a gate (a queue, function, resource or share), or ends its pause.
-- Guarantee: while it is paused, no job of it begins; those that run go on. Pausing what is paused changes nothing.
-- KEYS  those of shared/lapse.lua
-- ARGV  gate · who pauses it, or '' to end the pause · most gates that may be paused
-- RETURNS  1 if that changed something · 0 if not · -1 if too many gates are paused
--- include lapse_keys
if redis.call('EXISTS', gates) == 0 then redis.call('SET', gates, '0') end -- what is included now needs it
--- include clock
--- include work
--- include gate_changes
local name, by, paused = ARGV[1], ARGV[2], string.sub(gates, 1, -6) .. 'paused'
delete_if_wrong_type(paused, 'hash')
local existed, is_paused = gating.read(name), redis.call('HEXISTS', paused, name) == 1
local is_full = by ~= '' and not is_paused and redis.call('HLEN', paused) >= tonumber(ARGV[3])
local is_new = is_paused ~= (by ~= '')
if is_new and not is_full then
  if by == '' then
    redis.call('HDEL', paused, name)
  else
    redis.call('HSET', paused, name, cmsgpack.pack({since = clock(), by = by}))
  end
end
gate_changed(name, existed)
return is_full and -1 or is_new and 1 or 0
