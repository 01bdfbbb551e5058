-- Has the end of a group told, once.
-- ARGV: group, the moment in ms at which it ended as far as the caller knows, then callback jobs as for create().
-- Returns 1, or 0 if somebody else did, or the group has been opened again.
if redis.call('HGET', group_key(ARGV[1]), 'finishedAt') ~= ARGV[2] then return 0 end
if redis.call('ZREM', P .. 'group-endings', ARGV[1]) == 0 then return 0 end
if #ARGV > 2 then create(ARGV, 3) end
let_go_if_empty(ARGV[1])
return 1
