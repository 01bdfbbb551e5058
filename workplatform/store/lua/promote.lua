-- Queues a scheduled job whose moment has come.
-- ARGV: id, Celery message.
-- Returns 1, or 0 if somebody else did it, it is not due, or it was cancelled.
local id = ARGV[1]
local key = job_key(id)
local record = redis.call('HMGET', key, 'status', 'dueAt', 'type', 'queue', 'priority')
if record[1] ~= 'scheduled' or tonumber(record[2]) > now_ms() then return 0 end
redis.call('ZREM', P .. 'scheduled', id)
redis.call('HDEL', key, 'reason', 'dueAt')
redis.call('HSET', key, 'status', 'queued')
move(id, record[3], 'scheduled', 'queued')
push(id, record[4], record[5], ARGV[2], false)
emit('job:queued', id, record[3], 'queued')
return 1
