-- Shows what was, and will be, told about a job.
-- ARGV: id.
-- Returns false if there is no such job, else for each delivery, oldest first: {id, {field, value, ...} of its record,
-- what its attempts have found, oldest first: `STARTED_MS JSON`}.
if redis.call('EXISTS', job_key(ARGV[1])) == 0 then return false end
local found = {}
for _, id in ipairs(redis.call('LRANGE', deliveries_key(ARGV[1]), 0, -1)) do
  local record = redis.call('HGETALL', job_key(id))
  if #record > 0 then found[#found + 1] = {id, record, redis.call('LRANGE', attempts_key(id), 0, -1)} end
end
return found
