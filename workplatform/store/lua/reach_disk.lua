-- Writes something, so that whoever waits until it is on disk has waited for all that was written before it.
-- Returns 1.
redis.call('HSET', RULES, 'disk', now_ms())
return 1
