-- Gives a queued job that lost its message a new one, first in line.
-- ARGV: id, Celery message.
-- Returns 1, or 0 if the job is not queued any more.
local id = ARGV[1]
local record = redis.call('HMGET', job_key(id), 'status', 'queue', 'priority')
redis.call('ZREM', P .. 'suspects', id)
if record[1] ~= 'queued' then return 0 end
push(id, record[2], record[3], ARGV[2], true)
return 1
