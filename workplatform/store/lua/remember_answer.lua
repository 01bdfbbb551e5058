-- Keeps what the first request with an idempotency key was answered, for those that repeat it.
-- ARGV: name of the key, answer.
-- Returns 1, or 0 if there is one, or the key is forgotten.
local key = P .. 'idempotency:' .. ARGV[1]
return redis.call('EXISTS', key) == 1 and redis.call('HSETNX', key, 'told', ARGV[2]) or 0
