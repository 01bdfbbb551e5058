-- Removes a difference between a job's record and what is derived from it, if what that rests on is still so.
-- ARGV: key of the record ('' = it rests on none), number of its fields, each with its value ('' = it has none), the key
--       to change, the string that it has to hold ('' = any), then the command that does it.
-- Returns 1, or 0 if things have moved on.
local count = tonumber(ARGV[2])
for at = 3, 2 + 2 * count, 2 do
  if (redis.call('HGET', ARGV[1], ARGV[at]) or '') ~= ARGV[at + 1] then return 0 end
end
local at = 3 + 2 * count
if ARGV[at + 1] ~= '' and redis.call('GET', ARGV[at]) ~= ARGV[at + 1] then return 0 end
redis.call(unpack(ARGV, at + 2))
return 1
