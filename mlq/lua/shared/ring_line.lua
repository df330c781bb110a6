-- About where a job of a share stands: other shares' jobs come before it as their times allow, if no more are posted.
--- include positive
--- include fields

local LOOKS = 100 -- shares at which to look; more of them are taken to be as those

-- How many jobs come before one with so many jobs of its own share before it, and how many seconds they take; nil for the seconds if
-- that share is not in the ring, since its gate is closed.
local function line_in_ring(lane, rank)
  local ring, share = string.match(lane, '^([^|]*|)(.*)$')
  local key, usual = lane_prefix .. ring, nil
  local time = tonumber(redis.pcall('ZSCORE', key, share) or '')
  if not time then return rank, nil end

  -- How long a job of that share takes, and what the share is charged for it.
  local function cost_of(name)
    local known = read_fields(key .. '|means', name, '')
    usual = usual or positive(known[2], 1)
    local mean = positive(known[1], usual)
    return mean, mean / positive(read_fields(lane_prefix .. '||weights', name)[1], 1)
  end

  local mean, charge = cost_of(share)
  local till = time + rank * charge
  local jobs, seconds = 0, 0
  local others = redis.call('ZRANGEBYSCORE', key, '-inf', string.format('(%.17g', till), 'WITHSCORES', 'LIMIT', 0, LOOKS)
  for i = 1, #others, 2 do
    if others[i] ~= share then
      local its_mean, its_charge = cost_of(others[i])
      local waiting = tonumber(redis.pcall('ZCARD', key .. others[i])) or 0
      local first = math.min(waiting, math.ceil((till - others[i + 1]) / its_charge))
      jobs, seconds = jobs + first, seconds + first * its_mean
    end
  end
  local unseen = #others == 2 * LOOKS and redis.call('ZCOUNT', key, '-inf', string.format('(%.17g', till)) / LOOKS or 1
  return math.floor(rank + jobs * unseen + 0.5), rank * mean + seconds * unseen
end
