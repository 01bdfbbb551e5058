-- Reads groups.
-- ARGV: the groups.
-- Returns for each what group_state() does; without fields if it is not there.
local states = {}
for at, group in ipairs(ARGV) do states[at] = group_state(group) end
return states
