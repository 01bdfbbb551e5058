-- Writes a schedule, if it is still as it was read.
-- ARGV: name, revision that was read ('' = there was none), its new revision, spec (JSON), next moment in ms ('' = none,
--       it is paused), moment in ms since which it exists if it is new, name of the API key that made it if it is new.
-- Returns 1, or 0 if somebody else has made, changed or removed it.
local name = ARGV[1]
local key = schedule_key(name)
if (redis.call('HGET', key, 'revision') or '') ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'revision', ARGV[3], 'spec', ARGV[4])
redis.call('HSETNX', key, 'createdAt', ARGV[6])
redis.call('HSETNX', key, 'by', ARGV[7])
set_next_fire(name, ARGV[5])
return 1
