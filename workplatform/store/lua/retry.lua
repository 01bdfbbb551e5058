-- Puts a failed or cancelled job back in its queue with all its retries.
-- ARGV: id, Celery message.
-- Returns {'ok'}, {'refused', status} or {'unknown'}.
local id = ARGV[1]
local key = job_key(id)
local record = redis.call('HMGET', key, 'status', 'type', 'queue', 'priority', 'series')
local status, type = record[1], record[2]
if not status then return {'unknown'} end
if status ~= 'failed' and status ~= 'cancelled' then return {'refused', status} end

redis.call('ZREM', P .. 'finished', id)
redis.call('HDEL', key, 'error', 'result', 'finishedAt', 'startedAt', 'stage', 'message', 'progress', 'retries',
  'attempts', 'outputs')
redis.call('HSET', key, 'status', 'queued')
move(id, type, status, 'queued')
push(id, record[3], record[4], ARGV[2], false)
-- Asked for now, it is the newest of its series.
if record[5] then redis.call('ZADD', series_key(record[5]), redis.call('HGET', key, 'sequence'), id) end
emit('job:queued', id, type, 'queued')
return {'ok'}
