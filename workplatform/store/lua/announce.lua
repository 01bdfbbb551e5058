-- Notes that a worker lives and what it serves, until the announcement expires.
-- ARGV: worker id, lifetime in ms, 1 if it takes jobs (0 if it only ends what it runs), what it says about itself
-- (JSON), its attempts (`ID:FENCE`, separated by spaces), its age in ms, its queues.
-- Returns the moment in ms.
local worker, lifetime, takes = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local now = now_ms()
local key = P .. 'worker:' .. worker
redis.call('ZREMRANGEBYSCORE', P .. 'serving', '-inf', '(' .. now)
redis.call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', '(' .. now)
for at = 7, #ARGV do
  if takes then
    redis.call('ZADD', P .. 'serving', now + lifetime, ARGV[at] .. '/' .. worker)
  else
    redis.call('ZREM', P .. 'serving', ARGV[at] .. '/' .. worker)
  end
end
redis.call('ZADD', P .. 'workers', now + lifetime, worker)
redis.call('HSETNX', key, 'startedAt', now - ARGV[6])
redis.call('HSET', key, 'about', ARGV[4], 'attempts', ARGV[5], 'seenAt', now)
redis.call('PEXPIRE', key, lifetime)
return now
