-- Lists what the scheduler has to look at now.
-- ARGV: most ids of each kind.
-- Returns {ids of due scheduled jobs, of running jobs whose lease has run out, of jobs whose time is up}, oldest first.
local now, most = now_ms(), ARGV[1]
return {
  redis.call('ZRANGEBYSCORE', P .. 'scheduled', '-inf', now, 'LIMIT', 0, most),
  redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', '(' .. now, 'LIMIT', 0, most),
  redis.call('ZRANGEBYSCORE', P .. 'limited', '-inf', now, 'LIMIT', 0, most),
}
