-- Reads the live workers. Returns for each {id, what it says about itself (JSON), started, seen (ms), jobs}; a job is
-- {id, type, progress, stage, started}. Announced attempts that have ended since are left out.
local function running(attempts)
  local jobs = {}
  for id, fence in string.gmatch(attempts, '(%S+):(%d+)') do
    local record = redis.call('HMGET', job_key(id), 'status', 'fence', 'type', 'progress', 'stage', 'startedAt')
    if record[1] == 'running' and record[2] == fence then
      jobs[#jobs + 1] = {id, record[3], record[4] or '0', record[5] or '', record[6]}
    end
  end
  return jobs
end

local workers = {}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', P .. 'workers', now_ms(), '+inf')) do
  local note = redis.call('HMGET', P .. 'worker:' .. worker, 'about', 'startedAt', 'seenAt', 'attempts')
  if note[1] then workers[#workers + 1] = {worker, note[1], note[2], note[3], running(note[4])} end
end
return workers
