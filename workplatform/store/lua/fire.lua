-- Fires a schedule: its next moment moves on, its job is made, and its history says so, or none of it.
-- ARGV: name, revision, the moment in ms that is due ('' = fired on request, at no moment), the moment after it ('' =
--       none), what to do if the last job has not ended ('allow', 'skip' or 'replace'), id of the last job that the
--       caller knows ('' = none), entry for the history (JSON); then the job as for create(), or nothing if the moment
--       passes without one, and the callbacks of the last job for the case that it is replaced.
-- Returns {'gone'} if the schedule is not as the caller knows it; else {outcome, id of the job that it is about}:
--   'created', 'existing' (another job holds its uniqueKey), 'overlap' (the last one has not ended), 'draining' (its queue
--   takes no job in), or 'passed'.
local name, due = ARGV[1], ARGV[3]
local key = schedule_key(name)
local record = redis.call('HMGET', key, 'revision', 'nextAt', 'lastJob')
local last = record[3] or ''
if record[1] ~= ARGV[2] or last ~= ARGV[6] or (due ~= '' and record[2] ~= due) then return {'gone'} end

local function make()
  local status = last ~= '' and redis.call('HGET', job_key(last), 'status') or 'failed'
  local is_active = not FINAL[status]
  if is_active and ARGV[5] == 'skip' then return 'overlap', last end
  if is_draining(ARGV[10]) then return 'draining', '' end
  local terms = ARGV[14] ~= '' and cjson.decode(ARGV[14]) or {}
  local holder = terms.unique and unique_holder(ARGV[9], terms.unique)
  if holder and holder ~= last then return 'existing', holder end
  local is_replaced = is_active and ARGV[5] == 'replace'
  if is_replaced then end_job(last, 'cancelled', 'job:cancelled', 'replaced by ' .. ARGV[8], '') end
  local words = {}
  for at = 8, is_replaced and #ARGV or 14 do words[#words + 1] = ARGV[at] end
  local other = create(words, 1)[3]
  if other then return 'existing', string.match(other, '^%S+') end
  redis.call('HSET', key, 'lastAt', now_ms(), 'lastJob', ARGV[8])
  redis.call('HINCRBY', key, 'fires', 1)
  return 'created', ARGV[8]
end

local outcome, job = 'passed', ''
if #ARGV > 7 then outcome, job = make() end
if due == '' and (outcome == 'overlap' or outcome == 'draining') then return {outcome, job} end
if due ~= '' then set_next_fire(name, ARGV[4]) end
local entry = cjson.decode(ARGV[7])
entry.at = now_ms()
entry.due = due ~= '' and tonumber(due) or entry.at
entry.outcome = entry.outcome or outcome
entry.job = job ~= '' and job or nil
redis.call('LPUSH', P .. 'fires:' .. name, cjson.encode(entry))
redis.call('LTRIM', P .. 'fires:' .. name, 0, FIRES_KEPT - 1)
return {outcome, job}
