-- What has ended: how it is kept, and how it is removed.

local ENDED = {'completed', 'failed', 'cancelled'}

-- Removes a job that has ended, and all that is kept of it.
local function remove_job(id, type, status)
  if status == 'failed' then forget_failure(id, type) end
  -- First noted, then forgotten: the scheduler removes the files, and may die while it does.
  local spec = redis.call('HGET', job_key(id), 'spec')
  if spec and string.find(spec, '"outputsExpire":true', 1, true) then
    redis.call('ZADD', P .. 'expiring', now_ms(), id)
  end
  redis.call('ZREM', finished_key(type, status), id)
  redis.call('ZREM', index_key(type, status), id)
  local group = redis.call('HGET', job_key(id), 'group')
  if group then leave_group(id, group, status) end
  redis.call('DEL', job_key(id), P .. 'logs:' .. id)
  forget_deliveries(id)
end
