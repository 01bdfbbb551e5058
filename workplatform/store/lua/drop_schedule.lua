-- Removes a schedule and its history; the jobs that it made stay.
-- ARGV: name.
-- Returns 1, or 0 if there was none.
redis.call('ZREM', P .. 'schedules', ARGV[1])
redis.call('DEL', P .. 'fires:' .. ARGV[1])
return redis.call('DEL', schedule_key(ARGV[1]))
