-- What a claim does with gates: it takes no more jobs of a lane than all gates of that have room for.
--- include gating
--- include gate_groups

local group_of = {}
gating.is_claim()

-- A page of the index of `class`, with the lanes of groups in their places instead of these: the first `most` of them, but at least
-- the first one of each group. There may be hundreds of groups, each with hundreds of lanes. Its `entries`: how many it has, but for
-- the groups that are closed.
function gating.spread(class, page, most)
  local all, groups, flat, some = {}, {}, {}, math.max(2, math.ceil(4 * most / #page))
  for i = 1, #page, 2 do
    if string.sub(page[i], 1, 1) == ':' and page[i + 1] ~= 'inf' then
      groups[#groups + 1] = lanes_of(class, page[i], most, some)
    else
      of_lane[page[i]] = {} -- the index was made for these gates
      all[#all + 1] = {page[i], page[i + 1]}
    end
  end
  flat.entries = #all + #groups
  local last = read_first(groups, most)
  for _, found in ipairs(groups) do
    local group, given = found.group, 0
    for i = 1, #found, 2 do
      if given == found.most or given > 0 and tonumber(found[i + 1]) > last then break end
      given = given + 1
      all[#all + 1], group_of[found[i]], of_lane[found[i]] = {found[i], found[i + 1]}, group, group.gates
    end
    group.others = #found / 2 > given or not found.is_whole and redis.call('ZCARD', found.index) > given
  end
  table.sort(all, function(a, b)
    local first, second = tonumber(a[2]) or math.huge, tonumber(b[2]) or math.huge
    return first < second or first == second and a[1] < b[1]
  end)
  for _, lane in ipairs(all) do flat[#flat + 1], flat[#flat + 2] = lane[1], lane[2] end
  return flat
end

function gating.group_read(lane) return group_of[lane] end

-- Counts a job that is taken from a lane, before all of them take their places together.
function gating.use(its)
  for _, gate in ipairs(its) do
    gate.free, gate.left = gate.free and gate.free - 1, gate.left and gate.left - 1
  end
end

--- include gate_taking

-- Parks the groups that the claim has closed. Returns those of the lanes `left` that are open; whether there are others; and the seconds
-- until something may begin that may not now, `again` or sooner.
function gating.close(class, left, unread, again)
  local open = {}
  for group in pairs(read_groups) do
    local is_closed = gating.closed_one(group.gates)
    if is_closed and not group.told then gating.refresh(class, group) end
    unread = unread or group.others and not is_closed
  end
  for _, lane in ipairs(left) do
    if not lane.group or not gating.closed_one(lane.group.gates) then open[#open + 1] = lane end
  end
  local opens = gating.soonest() and math.max(0, gating.soonest() - at)
  return open, unread, opens and math.min(again or opens, opens) or again
end
