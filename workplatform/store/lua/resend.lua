-- Has a delivery made again, whether it has succeeded, has failed or waits for its next attempt.
-- ARGV: id of the job that it tells of, id of the delivery, its Celery message.
-- Returns {'ok'}, {'refused', status} (it is about to be made) or {'unknown'}.
local job, id, message = ARGV[1], ARGV[2], ARGV[3]
local record = redis.call('HMGET', job_key(id), 'about', 'status')
local status = record[2]
if not status or record[1] ~= job then return {'unknown'} end
if status == 'scheduled' then
  wake(id, message)
elseif FINAL[status] then
  -- Asked for by somebody, it is made whatever the job does meanwhile.
  redis.call('HDEL', job_key(id), 'whilst')
  restart(id, message)
else
  return {'refused', status}
end
return {'ok'}
