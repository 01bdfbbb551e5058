-- Lets in what time lets in: offers the room of limits that are due for a look, and goes on with backlogs.
-- ARGV: most limits, most backlogs.
-- Returns how many limits were due.
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', P .. 'offers', '-inf', now, 'LIMIT', 0, ARGV[1])
for _, name in ipairs(due) do offer(name, now) end
for _, member in ipairs(redis.call('SPOP', P .. 'refills', ARGV[2])) do advance(unpack(cjson.decode(member))) end
return #due
