-- Lists removed jobs whose files are to go now.
-- ARGV: most ids. Returns the ids.
return redis.call('ZRANGEBYSCORE', P .. 'expiring', '-inf', now_ms(), 'LIMIT', 0, ARGV[1])
