-- Begins a retry of many jobs; only jobs that have ended by now are meant, so that none is retried twice by it.
-- ARGV: id, spec (JSON), how many jobs there are (-1 = nobody knows), how many go before the others to prove that it
--       helps.
-- Returns 1.
local name, now = ARGV[1], now_ms()
redis.call('HSET', retry_key(name), 'spec', ARGV[2], 'total', ARGV[3], 'canary', ARGV[4],
  'status', ARGV[4] == '0' and 'running' or 'canary', 'createdAt', now, 'retried', 0, 'skipped', 0, 'score', '',
  'member', '')
redis.call('ZADD', P .. 'retrying', now, name)
redis.call('ZADD', P .. 'retries', now, name)
redis.call('ZREMRANGEBYSCORE', P .. 'retries', '-inf', now - RETRIES_KEPT_MS)
return 1
