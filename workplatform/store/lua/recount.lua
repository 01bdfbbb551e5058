-- Counts anew how many jobs of each API key stand in a lane, and goes on with the backlogs of those keys.
-- ARGV: queue, priority, then API keys that may have jobs there.
-- Returns 1, or 0 if keys take no turns there.
local queue, priority = ARGV[1], ARGV[2]
local standing = standing_key(queue, priority)
redis.call('DEL', standing)
if redis.call('HGET', RULES, lane_field(queue, priority)) ~= SHARED then return 0 end
for _, id in ipairs(redis.call('ZRANGE', queued_key(queue, priority), 0, -1)) do
  redis.call('HINCRBY', standing, redis.call('HGET', job_key(id), 'by') or DEFAULT_KEY, 1)
end
for at = 3, #ARGV do refill(queue, priority, ARGV[at]) end
unshare(queue, priority)
return 1
