-- What is to be done for other jobs after the end of one: `chore` has a function for each kind of that. `work` in work.lua does
-- it, when the script has done the rest.

local todo, chore = {}, {}

local function later(what, id, ...)
  todo[#todo + 1] = {what, id, ...}
end
