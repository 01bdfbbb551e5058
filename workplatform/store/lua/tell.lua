-- Creates a delivery that tells of a running attempt.
-- ARGV: id of its job, fence, what it tells ('started' or 'progress'), then the delivery as for create().
-- Of progress only the newest counts: a delivery that still waits tells the newer instead, and the oldest are removed.
-- Returns 1, or 0 if the attempt does not run any more: then nothing is changed.
local id, fence, event, delivery, spec = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[8]
if not is_current(id .. ' ' .. fence) then return 0 end
local newest = event == 'progress' and redis.call('LINDEX', progress_key(id), -1)
local status = newest and redis.call('HGET', job_key(newest), 'status')
if status and status ~= 'running' and not FINAL[status] then
  redis.call('HSET', job_key(newest), 'spec', spec, 'whilst', id .. ' ' .. fence)
  return 1
end
create(ARGV, 4)
if event ~= 'progress' then return 1 end
redis.call('RPUSH', progress_key(id), delivery)
if redis.call('LLEN', progress_key(id)) > PROGRESS_KEPT then
  local oldest = redis.call('LPOP', progress_key(id))
  local record = redis.call('HMGET', job_key(oldest), 'type', 'status')
  redis.call('LREM', deliveries_key(id), 1, oldest)
  if FINAL[record[2]] then remove_job(oldest, record[1], record[2]) end
end
return 1
