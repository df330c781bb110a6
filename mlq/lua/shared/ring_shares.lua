-- Reads the shares of a ring in order of their times, few more than are asked for.
--- include positive

-- Returns two functions: one gives the share that is next, or nil, and reads `some` more if it must; the other puts a share into
-- its place, once its time has changed.
local function shares_in(ring)
  local shares, read, last, ends = {}, 0, nil, false -- those that were read, by their times; the time of the last one

  local function values(key, ...)
    local found = redis.pcall('HMGET', key, ...)
    return found.err and {} or found
  end

  local function put(share)
    local i = #shares
    while i > 0 and shares[i].time > share.time do i = i - 1 end
    table.insert(shares, i + 1, share)
  end

  local function read_page(some)
    local page, names = redis.pcall('ZRANGE', lane_prefix .. ring, read, read + some - 1, 'WITHSCORES'), {}
    if page.err then page = {} end
    ends, read = #page < 2 * some, read + #page / 2
    for i = 1, #page, 2 do names[#names + 1] = page[i] end
    if #names == 0 then return end
    local means = values(lane_prefix .. ring .. '|means', '', unpack(names))
    local weights, usual = values(lane_prefix .. '||weights', unpack(names)), positive(means[1], 1)
    for i, name in ipairs(names) do
      local weight = positive(weights[i], 1)
      last = tonumber(page[2 * i])
      put({name = name, time = last, weight = weight, owed = positive(means[i + 1], usual) / weight, jobs = {}, at = -1, taken = {}})
    end
  end

  local function next_share(some)
    while not ends and (not shares[1] or shares[1].time > last) do read_page(math.min(some, 500)) end
    return table.remove(shares, 1), #shares + 1
  end

  return next_share, put
end
