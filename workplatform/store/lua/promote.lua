-- Queues jobs whose moment has come, or has them wait on for their series.
-- ARGV: id and Celery message of each.
-- Returns how many were queued: others were by somebody else, are not due, wait on, or were cancelled.
local now, count = now_ms(), 0

local function is_promoted(id, message)
  local record = redis.call('HMGET', job_key(id), 'status', 'dueAt', 'type', 'series', 'group')
  local status, series = record[1], record[4]
  if status ~= 'scheduled' and status ~= 'waiting' then return false end
  if (tonumber(record[2] or nil) or math.huge) > now then return false end
  if series and is_held(series, id) then
    park(id, record[3], status, PARKED_MS, record[5])
    return false
  end
  wake(id, message)
  return true
end

for at = 1, #ARGV, 2 do
  if is_promoted(ARGV[at], ARGV[at + 1]) then count = count + 1 end
end
return count
