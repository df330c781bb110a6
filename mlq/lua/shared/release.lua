-- Ends leases.
--- include lapse_keys
--- include wake

-- Ends the lease of an attempt, and frees its places at gates. Call this before the job's hash is changed for its next attempt.
-- `is_unbegun`: its listener was not called.
local function end_lease(id, lease, is_unbegun)
  redis.call('ZREM', leases, lease)
  if gating then gating.free_places(id, lease, is_unbegun) end
end
