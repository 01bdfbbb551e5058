-- How jobs that have ended begin again.

-- Whether a job can begin again, as {'ok'}; else {'unknown'}, {'refused', status}, {'held', id of the active job with its
-- unique key}, {'broken', id of the parent that has not completed}, {'gone', id of one of which nobody knows how it ended} or
-- {'over'} (it tells of the progress of an attempt that has ended).
local function can_restart(id)
  local record = redis.call('HMGET', job_key(id), 'status', 'type', 'unique', 'parents', 'onParent', 'fence', 'whilst')
  local status = record[1]
  if not status then return {'unknown'} end
  if status ~= 'failed' and status ~= 'cancelled' then return {'refused', status} end
  if record[7] and not is_current(record[7]) then return {'over'} end
  local other = record[3] and unique_holder(record[2], record[3])
  if other then return {'held', other} end
  -- What has begun once had parents that it could take.
  local broken = record[4] and broken_parent(parents_of(record[4]), record[5], record[6] and 'completed' or 'failed')
  if broken then return {redis.call('EXISTS', job_key(broken)) == 1 and 'broken' or 'gone', broken} end
  return {'ok'}
end

-- Puts a failed or cancelled job back in its queue with all its retries, and without the moments it had to keep; if some
-- of its parents have not ended, it waits for those first.
local function restart(id, message)
  local key = job_key(id)
  local record = redis.call('HMGET', key, 'status', 'type', 'queue', 'priority', 'series', 'unique', 'group', 'parents')
  local status, type, group = record[1], record[2], record[7]
  if group then open_group(group) end
  if status == 'failed' then forget_failure(id, type, now_ms()) end
  redis.call('ZREM', finished_key(type, status), id)
  redis.call('ZREM', P .. 'releasing', id)
  redis.call('HDEL', key, 'error', 'result', 'finishedAt', 'startedAt', 'stage', 'message', 'progress', 'retries',
    'attempts', 'outputs', 'expiresAt', 'deadline')
  if record[6] then redis.call('SET', unique_key(type, record[6]), id) end
  local open = record[8] and await_parents(id, parents_of(record[8])) or 0
  local next_status = open > 0 and 'waiting' or 'queued'
  redis.call('HSET', key, 'status', next_status)
  move(id, type, status, next_status, group)
  if open > 0 then
    redis.call('HSET', key, 'reason', 'dependencies', 'open', open, 'wakeup', message)
    -- It joins its series when its parents are done.
    if record[5] then redis.call('ZREM', series_key(record[5]), id) end
  else
    redis.call('HDEL', key, 'delay', 'runAt')
    push(id, record[3], record[4], message, false)
    -- Asked for now, it is the newest of its series.
    if record[5] then redis.call('ZADD', series_key(record[5]), redis.call('HGET', key, 'sequence'), id) end
  end
  emit('job:queued', id, type, next_status)
end
