-- Cancels a job in any state that is not final; a running one's worker learns it at its next beat.
-- ARGV: id, message for people, whom ('any', or 'idle' to leave a running one alone), then a callback job as for
--       create().
-- Returns {'ok', previous status}, {'final', status}, {'spared', status} or {'unknown'}.
local id, text = ARGV[1], ARGV[2]
local key = job_key(id)
local record = redis.call('HMGET', key, 'status', 'type', 'queue', 'priority', 'node', 'progress', 'stage', 'fence',
  'series')
local status, type = record[1], record[2]
if not status then return {'unknown'} end
if FINAL[status] then return {'final', status} end
if status == 'running' and ARGV[3] == 'idle' then return {'spared', status} end

local now = now_ms()
local series = record[9]
if status == 'running' then
  -- Its worker needs a moment to end it; until then nobody else of its series may begin.
  local left = (redis.call('ZSCORE', P .. 'leases', id) or now) - now
  if series and holds(series, id, record[8]) then redis.call('PEXPIRE', holder_key(series), math.max(left, 1000)) end
  unclaim(id, record[5])
end
redis.call('ZREM', queued_key(record[3], record[4]), id)
redis.call('ZREM', P .. 'scheduled', id)
redis.call('ZADD', P .. 'finished', now, id)
redis.call('HDEL', key, 'reason', 'dueAt')
redis.call('HSET', key, 'status', 'cancelled', 'finishedAt', now, 'message', text)
move(id, type, status, 'cancelled')
emit('job:cancelled', id, type, 'cancelled', {'progress', record[6] or '0', 'stage', record[7] or '', 'message', text})
if series then leave_series(series, id) end
if #ARGV > 3 then create(ARGV, 4) end
return {'ok', status}
