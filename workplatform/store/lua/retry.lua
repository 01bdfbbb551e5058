-- Puts a failed or cancelled job back in its queue, see restart().
-- ARGV: id, Celery message.
-- Returns {'ok', status}, {'refused', status}, {'held', id of the active job with its unique key}, {'broken', id of the
-- parent that has not completed} or {'unknown'}.
local answer = can_restart(ARGV[1])
if answer[1] ~= 'ok' then return answer end
restart(ARGV[1], ARGV[2])
return {'ok', redis.call('HGET', job_key(ARGV[1]), 'status')}
