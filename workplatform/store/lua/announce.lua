-- Notes that a worker is alive and what it serves, until the announcement expires.
-- ARGV: worker name, queue, lifetime in ms (0 = it leaves), then field-value pairs about it.
local worker, queue, lifetime = ARGV[1], ARGV[2], tonumber(ARGV[3])
local now = now_ms()
redis.call('ZREMRANGEBYSCORE', P .. 'serving', '-inf', '(' .. now)
if lifetime == 0 then
  redis.call('ZREM', P .. 'serving', queue .. '/' .. worker)
  redis.call('DEL', P .. 'worker:' .. worker)
  return 0
end
redis.call('ZADD', P .. 'serving', now + lifetime, queue .. '/' .. worker)
redis.call('HSET', P .. 'worker:' .. worker, 'queue', queue, 'seenAt', now, unpack(ARGV, 4))
redis.call('PEXPIRE', P .. 'worker:' .. worker, lifetime)
return 1
