-- Tells that an attempt which lost its job, or whose job was cancelled, has really ended: its series is free.
-- ARGV: id, fence.
local series = redis.call('HGET', job_key(ARGV[1]), 'series')
if series then release_series(series, ARGV[1], ARGV[2]) end
return 1
