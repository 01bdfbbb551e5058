-- Puts a failed or cancelled job back in its queue, see restart().
-- ARGV: id, Celery message; then, if what was submitted is changed by it: the end in ms of the job as it was read, spec
--       (JSON), priority, series ('' = none), what was so before and why it failed (JSON object).
-- Returns {'ok', status}, {'changed'} (it has ended anew since it was read), or else what can_restart() does.
local id, key = ARGV[1], job_key(ARGV[1])
local answer = can_restart(id)
if answer[1] ~= 'ok' then return answer end

local function edit(ended, spec, priority, series, former)
  local record = redis.call('HMGET', key, 'type', 'status', 'series', 'edits')
  local now = now_ms()
  -- While the tags that it is filed under can be told.
  if record[2] == 'failed' then forget_failure(id, record[1], now) end
  local edits = record[4] and string.sub(record[4], 1, -2) .. ',' or '['
  redis.call('HSET', key, 'spec', spec, 'priority', priority,
    'edits', edits .. '{"at":' .. string.format('%d', now) .. ',' .. string.sub(former, 2) .. ']')
  if record[3] and record[3] ~= series then
    redis.call('ZREM', series_key(record[3]), id)
    redis.call('HDEL', key, 'series')
  end
  if series ~= '' then redis.call('HSET', key, 'series', series) end
end

if #ARGV > 2 then
  if redis.call('HGET', key, 'finishedAt') ~= ARGV[3] then return {'changed'} end
  edit(unpack(ARGV, 3))
end
restart(id, ARGV[2])
return {'ok', redis.call('HGET', key, 'status')}
