-- What is known of why a job has not ended, or does not run: the jobs, workers and times that it waits for.
-- Guarantee: changes nothing; the SETRANGE of no bytes only asks whether the server accepts writes.
-- KEYS  posts prefix · jobs prefix · leases zset · scheduled zset · lane prefix · serves prefix · class prefix · holders prefix
--       · workers zset · metrics hash · gates string
-- ARGV  id · stamp of the job that is meant, or '' for any with that id · how many buckets the times of runs are counted in
-- RETURNS  {'gone'} · {'other'} · {'ok', stamp, packed map: see `Facts` in ops/why.py}
--- include clock
--- include check_stamp
--- include bare_record
local posts, jobs, leases, scheduled, lane_prefix = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local serves, classes, holders, living, metrics = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local gates = KEYS[11]
--- include blocker
local id, now = ARGV[1], clock()
local stamp, word = check_stamp(posts .. id, jobs .. id, ARGV[2])
local lane = lane_of(posts, id)
if word or not lane then
  return {word or 'gone'}
end

local NAMES = {'state', 'attempts', 'worker', 'started', 'finished', 'token', 'reason', 'error_type', 'error', 'waits_for', 'tail',
  'needs', 'of', 'held', 'at_once', 'errors', 'losses', 'shared', 'cause', 'gave'}
local own, job = read_fields(jobs .. id, unpack(NAMES)), {}
for i, name in ipairs(NAMES) do
  job[name] = own[i] and string.sub(own[i], 1, 500) or nil
end
job.state = job.state or 'queued'
local facts = {now = now, record = bare_record(posts .. id), job = job}

local function score(key, member)
  local found = redis.pcall('ZSCORE', key, member)
  return type(found) == 'string' and found or nil
end

if job.state == 'running' then
  facts.lease = score(leases, id .. ':' .. (job.token or ''))
elseif job.state == 'scheduled' then
  facts.due = score(scheduled, id)
elseif job.state == 'blocked' then
  facts.needed = open_needed(id, 10)
  local blocker = first_blocker(id)
  facts.blocker = blocker ~= id and blocker or nil -- itself if no looks are left
end
if job.state == 'queued' or tonumber(facts.due or '0') >= 1e11 then -- the latter is to run apart, if its gates are open
--- include waiting
  if job.state == 'queued' then find_what_it_waits_for() else find_gates() end
end

local queue, names = string.match(lane, '^[^:|]*'), {'batches', 'batched', 'run:sum'}
for i = 0, ARGV[3] - 1 do names[#names + 1] = 'run:' .. i end
for i, name in ipairs(names) do names[i] = queue .. ':' .. name end
facts.counts = read_fields(metrics, unpack(names))
local answer = redis.pcall('SETRANGE', posts .. id, 0, '')
facts.refusal = type(answer) == 'table' and answer.err or nil
return {'ok', stamp, cmsgpack.pack(facts)}
