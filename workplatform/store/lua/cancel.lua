-- Cancels a job in any state that is not final; a running one's worker learns it at its next beat.
-- ARGV: id, message for people, then a callback job as for create().
-- Returns {'ok', previous status}, {'final', status} or {'unknown'}.
local id, text = ARGV[1], ARGV[2]
local key = job_key(id)
local record = redis.call('HMGET', key, 'status', 'type', 'queue', 'priority', 'node', 'progress', 'stage')
local status, type = record[1], record[2]
if not status then return {'unknown'} end
if FINAL[status] then return {'final', status} end

local now = now_ms()
if status == 'running' then unclaim(id, record[5]) end
redis.call('ZREM', queued_key(record[3], record[4]), id)
redis.call('ZREM', P .. 'scheduled', id)
redis.call('ZADD', P .. 'finished', now, id)
redis.call('HDEL', key, 'reason', 'dueAt')
redis.call('HSET', key, 'status', 'cancelled', 'finishedAt', now, 'message', text)
move(id, type, status, 'cancelled')
emit('job:cancelled', id, type, 'cancelled', {'progress', record[6] or '0', 'stage', record[7] or '', 'message', text})
if #ARGV > 2 then create(ARGV, 3) end
return {'ok', status}
