-- Does a step of a retry of many jobs, once, however many schedulers try.
-- ARGV: id, place that the step starts below (end in ms and id of a job, '' = the latest), place where the next one
--       starts ('' = these are the last jobs), then id and Celery message of each job, the latest first.
-- Returns 1, or 0 if the retry is not at that place any more, or has no job to retry now.
local name, key = ARGV[1], retry_key(ARGV[1])
local record = redis.call('HMGET', key, 'status', 'score', 'member', 'createdAt', 'canary', 'canaries')
local status = record[1]
if (status ~= 'running' and status ~= 'canary') or record[2] ~= ARGV[2] or record[3] ~= ARGV[3] then return 0 end

local canaries, retried, skipped = {}, 0, 0
-- Backwards, in the order in which they ended: a job begins again after those that it depends on.
for at = #ARGV - 1, 6, -2 do
  local id = ARGV[at]
  local job = redis.call('HMGET', job_key(id), 'status', 'finishedAt')
  if job[1] == 'failed' and tonumber(job[2]) <= tonumber(record[4]) and can_restart(id)[1] == 'ok' then
    restart(id, ARGV[at + 1])
    retried = retried + 1
    table.insert(canaries, 1, id)
  else
    skipped = skipped + 1
  end
end
redis.call('HINCRBY', key, 'skipped', skipped)
local all = redis.call('HINCRBY', key, 'retried', retried)
local is_last = ARGV[4] == ''
if not is_last then redis.call('HSET', key, 'score', ARGV[4], 'member', ARGV[5]) end
if status == 'canary' then
  if record[6] then table.insert(canaries, 1, record[6]) end
  redis.call('HSET', key, 'canaries', table.concat(canaries, ' '))
  if is_last then redis.call('HSET', key, 'isLast', 1) end
  if is_last or all >= tonumber(record[5]) then redis.call('HSET', key, 'status', 'proving') end
elseif is_last then
  end_retry(name, 'completed', '')
end
return 1
