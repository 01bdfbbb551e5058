-- Notes that memory runs short, so that submissions are refused, or that it does not.
-- ARGV: for how long to refuse them in ms, 0 = not.
-- Returns 1.
if ARGV[1] == '0' then return redis.call('HDEL', RULES, 'full') end
redis.call('HSET', RULES, 'full', now_ms() + ARGV[1])
return 1
