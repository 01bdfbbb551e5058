-- Forgets a worker that leaves.
-- ARGV: worker id, its queues.
for at = 2, #ARGV do redis.call('ZREM', P .. 'serving', ARGV[at] .. '/' .. ARGV[1]) end
redis.call('ZREM', P .. 'workers', ARGV[1])
return redis.call('DEL', P .. 'worker:' .. ARGV[1])
