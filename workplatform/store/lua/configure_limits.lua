-- Writes down the limits that the settings name, in place of those that they named before.
-- ARGV: for each its name and the limit (JSON with its `rule`).
-- Returns 1.
local key = P .. 'limits:configured'
local before = redis.call('HKEYS', key)
redis.call('DEL', key)
if #ARGV > 0 then redis.call('HSET', key, unpack(ARGV)) end
for _, name in ipairs(before) do apply_limit(name) end
for at = 1, #ARGV, 2 do apply_limit(ARGV[at]) end
return 1
