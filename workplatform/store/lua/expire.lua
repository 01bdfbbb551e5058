-- Fails a job that has not begun, or not ended, in time.
-- ARGV: id, message for people, error (JSON), then a callback job as for create().
-- Returns 1, or 0 if it has ended, or has begun in time.
local due = redis.call('ZSCORE', P .. 'limited', ARGV[1])
if not due or tonumber(due) > now_ms() then return 0 end
local status = end_job(ARGV[1], 'failed', 'job:failed', ARGV[2], ARGV[3], false)
if not status or FINAL[status] then
  redis.call('ZREM', P .. 'limited', ARGV[1])
  return 0
end
if #ARGV > 3 then create(ARGV, 4) end
return 1
