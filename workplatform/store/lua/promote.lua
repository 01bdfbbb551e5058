-- Queues a job whose moment has come, or has it wait on for its series.
-- ARGV: id, Celery message.
-- Returns 1, or 0 if somebody else did it, it is not due, it waits on, or it was cancelled.
local id = ARGV[1]
local record = redis.call('HMGET', job_key(id), 'status', 'dueAt', 'type', 'series', 'group')
local status, series = record[1], record[4]
if (status ~= 'scheduled' and status ~= 'waiting') or (tonumber(record[2] or nil) or math.huge) > now_ms() then
  return 0
end
if series and is_held(series, id) then
  park(id, record[3], status, PARKED_MS, record[5])
  return 0
end
wake(id, ARGV[2])
return 1
