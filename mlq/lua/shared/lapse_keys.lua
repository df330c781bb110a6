-- The keys that scripts take which end attempts and jobs; `lapse_keys` in ops/jobs.py has the same order.
local leases, jobs, posts, lane_prefix, lanes, serves = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local classes, dead, waiters, inboxes, deliveries, delivery = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local scheduled, streams, blocked, chores, metrics = KEYS[13], KEYS[14], KEYS[15], KEYS[16], KEYS[17]
local expiring, workers, gates = KEYS[18], KEYS[19], KEYS[20]
