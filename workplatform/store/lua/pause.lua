-- Pauses a queue or resumes it. What runs goes on; no further job of a paused queue is claimed.
-- ARGV: queue, 'pause' or 'resume'.
-- Returns 1 if that changed something.
return redis.call(ARGV[2] == 'pause' and 'SADD' or 'SREM', P .. 'paused', ARGV[1])
