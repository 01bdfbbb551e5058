-- Has the files of removed jobs looked at later.
-- ARGV: wait in ms, then ids. Returns 1.
local at = now_ms() + ARGV[1]
for number = 2, #ARGV do redis.call('ZADD', P .. 'expiring', 'XX', at, ARGV[number]) end
return 1
