-- Sets a limit at run time, or takes that back, so that the configured one counts again.
-- ARGV: name, limit (JSON with its `rule`, see limit_of()), or '' to take it back.
-- Returns 1.
if ARGV[2] == '' then
  redis.call('HDEL', P .. 'limits', ARGV[1])
else
  redis.call('HSET', P .. 'limits', ARGV[1], ARGV[2])
end
apply_limit(ARGV[1])
return 1
