-- Goes on with what earlier scripts left to do for the jobs around those that ended.
-- Guarantee: each chore is done once, and those that are left are kept.
-- KEYS  those of shared/lapse.lua
-- RETURNS  how many chores are left
--- include clock
--- include work
return work(clock(), 500)
