-- What has ended: how it is kept, and how it is removed.

local ENDED = {'completed', 'failed', 'cancelled'}

-- Removes a job that has ended, and all that is kept of it.
local function remove_job(id, type, status)
  if status == 'failed' then forget_failure(id, type) end
  redis.call('ZREM', finished_key(type, status), id)
  redis.call('ZREM', index_key(type, status), id)
  local group = redis.call('HGET', job_key(id), 'group')
  if group then leave_group(id, group, status) end
  redis.call('DEL', job_key(id), P .. 'logs:' .. id)
  forget_deliveries(id)
end
