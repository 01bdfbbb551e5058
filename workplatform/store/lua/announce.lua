-- Notes that a worker lives and what it serves, until the announcement expires.
-- ARGV: worker id, lifetime in ms, 1 if it takes jobs (0 if it only ends what it runs), what it says about itself
-- (JSON), its attempts (`ID:FENCE`, separated by spaces), its age in ms, its node, slots of the node (0 = its jobs take
-- none), its queues.
-- Returns {the moment in ms, 1 if a job of its first queue could be claimed now}.
local worker, lifetime, takes = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local now = now_ms()
local key = P .. 'worker:' .. worker
redis.call('ZREMRANGEBYSCORE', P .. 'serving', '-inf', '(' .. now)
redis.call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', '(' .. now)
for at = 9, #ARGV do
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

local function has_claimable(queue, node, slots)
  local has_messages = false
  for priority = 0, 4 do
    has_messages = has_messages or redis.call('EXISTS', list_key(queue, priority)) == 1
  end
  if not has_messages or is_paused(queue) then return 0 end
  return (slots == 0 or slots > redis.call('SCARD', P .. 'slots:' .. node)) and 1 or 0
end
return {now, has_claimable(ARGV[9], ARGV[7], tonumber(ARGV[8]))}
