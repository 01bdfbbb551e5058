-- How attempts and jobs end.

-- Takes a running job from its worker: lease and slot. Who it was stays in the record, for people.
local function unclaim(id, node)
  redis.call('ZREM', P .. 'leases', id)
  redis.call('SREM', P .. 'slots:' .. (node or ''), id)
end

-- Does what every ending of a job has in common; `record` is {series, unique, expiresAt, deadline,
-- group, children}.
local function conclude(id, type, status, now, record)
  if not is_of_flow(record[5]) then redis.call('ZADD', finished_key(type, status), now, id) end
  if record[1] then leave_series(record[1], id) end
  if record[2] and redis.call('GET', unique_key(type, record[2])) == id then
    redis.call('DEL', unique_key(type, record[2]))
  end
  if record[3] or record[4] then redis.call('ZREM', P .. 'limited', id) end
  if record[6] then release_children(id, status) end
  if record[5] then end_group(record[5], now) end
end

-- Ends a job from outside, whatever it does: a running one's worker learns it at its next beat.
-- Returns its status before; nothing is done if that is final, or 'running' and `spares_running`.
local function end_job(id, next_status, event, text, failure, spares_running)
  local key = job_key(id)
  local record = redis.call('HMGET', key, 'status', 'type', 'queue', 'priority', 'node', 'progress', 'stage', 'fence',
    'series', 'unique', 'expiresAt', 'deadline', 'group', 'children', 'doom', 'by', 'turn', 'limits')
  local status, type, series = record[1], record[2], record[9]
  if not status or FINAL[status] or (status == 'running' and spares_running) then return status end
  local now = now_ms()
  if status == 'running' then
    -- Its worker needs a moment to end it; until then nobody else of its series may begin.
    local left = (redis.call('ZSCORE', P .. 'leases', id) or now) - now
    if series and holds(series, id, record[8]) then redis.call('PEXPIRE', holder_key(series), math.max(left, 1000)) end
    if record[18] then linger(id, record[18], now + math.max(left, 1000), now) end
    unclaim(id, record[5])
  end
  redis.call('ZREM', P .. 'scheduled', id)
  redis.call('HDEL', key, 'reason', 'dueAt', 'wakeup', 'open', 'doom', 'turn')
  if record[15] then redis.call('ZREM', P .. 'doomed', id) end
  redis.call('HSET', key, 'status', next_status, 'finishedAt', now, 'message', text)
  if failure ~= '' then redis.call('HSET', key, 'error', failure) end
  move(id, type, status, next_status, record[13])
  leave_lane(id, record[3], record[4], record[16] or DEFAULT_KEY)
  emit(event, id, type, next_status, {'progress', record[6] or '0', 'stage', record[7] or '', 'message', text,
    'error', failure})
  if record[17] then lose_turn(id, record[17], now) end
  if next_status == 'failed' then note_failure(id, type, now, failure) end
  conclude(id, type, next_status, now, {record[9], record[10], record[11], record[12], record[13],
    record[14]})
  return status
end
