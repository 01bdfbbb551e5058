-- Ends an attempt: the job goes from running to where the ending says.
-- ARGV: id, fence, guard ('owner': this attempt's worker says so; 'lapsed': only if the lease has run out),
--       next status, event, result (JSON or ''), error (JSON or ''), message for people, delay in ms, reason,
--       Celery message (for queued), costs ('attempt', 'retry' or 'nothing': 'retry' uses up one of the retries,
--       'nothing' gives the attempt back), number of log lines, the lines, then a callback job as for create().
-- Returns 'ok', or 'lost' if the job is not this attempt's any more: then nothing is changed.
local id, fence, guard, next_status, event = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local result, failure, text, delay, reason = ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9]), ARGV[10]
local message, costs, count = ARGV[11], ARGV[12], tonumber(ARGV[13])
local key = job_key(id)
local record = redis.call('HMGET', key, 'status', 'fence', 'type', 'queue', 'priority', 'node', 'progress', 'stage')
local type, queue, priority = record[3], record[4], record[5]
local now = now_ms()

if record[1] ~= 'running' or record[2] ~= fence then return 'lost' end
if guard == 'lapsed' and tonumber(redis.call('ZSCORE', P .. 'leases', id) or now) >= now then return 'lost' end

unclaim(id, record[6])
append_logs(id, {unpack(ARGV, 14, 13 + count)})
if costs == 'retry' then redis.call('HINCRBY', key, 'retries', 1) end
if costs == 'nothing' then redis.call('HINCRBY', key, 'attempts', -1) end
move(id, type, 'running', next_status)

local progress = next_status == 'completed' and '100' or record[7]
redis.call('HSET', key, 'status', next_status, 'progress', progress, 'message', text)
if result ~= '' then redis.call('HSET', key, 'result', result) end
if failure ~= '' then redis.call('HSET', key, 'error', failure) end

if FINAL[next_status] then
  redis.call('HSET', key, 'finishedAt', now)
  redis.call('ZADD', P .. 'finished', now, id)
elseif next_status == 'scheduled' then
  redis.call('HSET', key, 'reason', reason, 'dueAt', now + delay)
  redis.call('ZADD', P .. 'scheduled', now + delay, id)
else
  push(id, queue, priority, message, true)
end
emit(event, id, type, next_status, {'progress', progress, 'stage', record[8] or '', 'message', text,
  'result', result, 'error', failure})
if #ARGV > 13 + count then create(ARGV, 14 + count) end
return 'ok'
