-- Changes how a queue stands. What runs goes on; of a paused queue no further job is claimed, a draining one takes none
-- in but runs what it has.
-- ARGV: queue, 'pause', 'drain' or 'resume' (ends both).
-- Returns 1 if that changed something.
local paused, draining = 'paused:' .. ARGV[1], 'draining:' .. ARGV[1]
if ARGV[2] == 'resume' then
  redis.call('SREM', P .. 'paused', ARGV[1])
  return math.min(redis.call('HDEL', RULES, paused, draining), 1)
end
return redis.call('HSET', RULES, ARGV[2] == 'pause' and paused or draining, 1)
