-- Has a job become another one: in the step that ends its attempt, that job is posted, or the split begins whose parts the
-- attempt has posted (`plan`). The job itself rests until the other one ends, and gets its outcome; if it only runs for
-- another one itself, it has ended, and that one waits for the new one instead.
--- include next_job
--- include splitting
--- include cancelling
--- include give
--- include lapse
--- include release

local function rest(now, id, lease, token, tail, may_have_left)
  redis.call('HSET', jobs .. id, 'state', 'blocked', 'tail', tail, 'settled', token, 'token', '')
  redis.call('ZADD', blocked, now, id)
  if may_have_left then
    redis.call('HDEL', jobs .. id, 'waits_for', 'reason')
  end
  end_lease(id, lease)
  notify_followers(waiters, inboxes, id)
end

-- Returns nil, or the reason why nothing has been done.
local function become(now, epoch, ending, body, finish)
  local id, lease, part = ending.id, ending.id .. ':' .. ending.token, part_of(ending)
  local root = part.root or id
  local step = {part = {root = root}, priority = ending.priority} -- options of whatever runs for it
  local is_wanted = root == id or read_fields(jobs .. root, 'state')[1] == 'blocked'
  if not is_wanted or part.tail and not waits_for_outcome(part.tail, id) then
    redis.call('HSET', jobs .. id, 'settled', ending.token) -- the reply to the same call is the same
    return cancel_one(now, id, 'step')
  end
  local tail, word
  if ending.plan then
    local plan = jobs .. lease .. ':plan'
    local ranges = planned(plan)
    if not ranges then
      make_dead_letter(now, id, lease, 'error', 'mlq.errors.JobLost', 'the list of the parts that it has posted is missing or damaged')
      redis.call('DEL', plan)
      return nil
    elseif not is_whole(ranges, ending.join, ending.of) then
      redis.call('HSET', jobs .. id, 'settled', ending.token)
      return return_to_lane(now, id, lease, lane_of(posts, id), 'lost', 'the server has lost parts that it had posted')
    end
    tail = begin_split(now, step, ranges, ending.plan)
    redis.call('DEL', plan)
  else
    tail, word = write_next(now, epoch, ending.lane, body, ending.staged)
    if not tail then return word end
    add_step(root, tail, tail)
  end
  if part.tail then
    redis.call('HSET', jobs .. part.tail, 'tail', tail)
    ending.fields = {gave = part.tail}
    finish(ending, 'succeeded')
  else
    rest(now, id, lease, ending.token, tail, ending.may_have_left)
  end
  if not ending.plan then
    line_up(lane_prefix, lanes, serves, classes, ending.lane, tail, place_of(tail, step))
  end
end
