-- Queues a job whose moment has come, or has it wait on for its series.
-- ARGV: id, Celery message.
-- Returns 1, or 0 if somebody else did it, it is not due, it waits on, or it was cancelled.
local id = ARGV[1]
local key = job_key(id)
local record = redis.call('HMGET', key, 'status', 'dueAt', 'type', 'queue', 'priority', 'series')
local status, series = record[1], record[6]
if (status ~= 'scheduled' and status ~= 'waiting') or tonumber(record[2]) > now_ms() then return 0 end
if series and is_held(series, id) then
  park(id, record[3], status, PARKED_MS)
  return 0
end
redis.call('ZREM', P .. 'scheduled', id)
redis.call('HDEL', key, 'reason', 'dueAt')
redis.call('HSET', key, 'status', 'queued')
move(id, record[3], status, 'queued')
push(id, record[4], record[5], ARGV[2], false)
emit('job:queued', id, record[3], 'queued')
return 1
