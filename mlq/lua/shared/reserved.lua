-- For whom the jobs of hosted models are: first for workers that hold the model. Another one passes a lane over until its
-- first job has waited for `wait` seconds. A script that includes this has the locals that are used here.
--- include head

local LOOKS, WOKEN = 10, 2 -- workers at which to look, and which to wake, for each lane that is passed over
local woken = {} -- workers to wake

-- The models whose listeners a lane names: as `name@version`. Nil if there are none.
local function models_of(lane)
  local functions, found = string.match(lane, '^[^:|]*:([^|]*@[^|]*)'), nil
  for name in string.gmatch(functions or '', '[^,]+') do
    if string.find(name, '@', 1, true) then
      found = found or {}
      found[#found + 1] = name
    end
  end
  return found
end

local function holds(who, models)
  for _, model in ipairs(models) do
    if type(redis.pcall('ZSCORE', holders .. model, who)) ~= 'string' then return false end
  end
  return true
end

-- For how many seconds more a lane's first job is for holders of its models; nil if it is for anybody.
local function reserved_for(lane)
  local first = redis.pcall('ZRANGE', lane_prefix .. lane, 0, 0)[1]
  if first and string.byte(lane, -1) == 124 then -- of a ring, which has shares
    first = redis.pcall('ZRANGE', lane_prefix .. lane .. first, 0, 0)[1]
  end
  if not first then return nil end
  local waited = now - (tonumber(stamp_in(read_head(posts .. first))) or 0)
  if waited >= wait then -- perhaps it came back since
    waited = now - (tonumber(redis.pcall('GET', jobs .. first .. ':ready') or '') or 0)
  end
  -- a time to come was written by a clock that was set back since, or by somebody else
  return waited >= 0 and waited < wait and wait - waited or nil
end

-- Has others that hold these models woken, if there are any that live. Those that have not read their last wake-up are busy.
local function has_holders(models)
  local found, count = false, 0
  for _, who in ipairs(redis.pcall('ZREVRANGE', holders .. models[1], 0, LOOKS - 1)) do
    local lives = who ~= worker and tonumber(redis.pcall('ZSCORE', living, who) or '')
    if lives and lives > now + 0 and (#models == 1 or holds(who, models)) then
      found = true
      if redis.pcall('LINDEX', inboxes .. who, -1) ~= 'wake' then
        woken[who], count = true, count + 1
        if count == WOKEN then break end
      end
    end
  end
  return found
end
