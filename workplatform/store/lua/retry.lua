-- Puts a failed or cancelled job back in its queue with all its retries, and without the moments it had to keep.
-- ARGV: id, Celery message.
-- Returns {'ok'}, {'refused', status}, {'held', id of the active job with its unique key} or {'unknown'}.
local id = ARGV[1]
local key = job_key(id)
local record = redis.call('HMGET', key, 'status', 'type', 'queue', 'priority', 'series', 'unique')
local status, type = record[1], record[2]
if not status then return {'unknown'} end
if status ~= 'failed' and status ~= 'cancelled' then return {'refused', status} end
if record[6] then
  local other = unique_holder(type, record[6])
  if other then return {'held', other} end
  redis.call('SET', unique_key(type, record[6]), id)
end

redis.call('ZREM', finished_key(type, status), id)
redis.call('HDEL', key, 'error', 'result', 'finishedAt', 'startedAt', 'stage', 'message', 'progress', 'retries',
  'attempts', 'outputs', 'expiresAt', 'deadline')
redis.call('HSET', key, 'status', 'queued')
move(id, type, status, 'queued')
push(id, record[3], record[4], ARGV[2], false)
-- Asked for now, it is the newest of its series.
if record[5] then redis.call('ZADD', series_key(record[5]), redis.call('HGET', key, 'sequence'), id) end
emit('job:queued', id, type, 'queued')
return {'ok'}
