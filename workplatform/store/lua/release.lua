-- Tells that an attempt which lost its job, or whose job was cancelled, has really ended: its series and its limits are
-- free.
-- ARGV: id, fence.
local record = redis.call('HMGET', job_key(ARGV[1]), 'series', 'limits', 'status', 'fence')
if record[1] then release_series(record[1], ARGV[1], ARGV[2]) end
if record[2] and record[3] ~= 'running' and record[4] == ARGV[2] then give_back(ARGV[1], record[2], now_ms()) end
return 1
