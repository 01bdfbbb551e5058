-- Deliveries: the jobs that tell a receiver about another job.

local DELIVERIES_KEPT, PROGRESS_KEPT, ATTEMPTS_KEPT = 200, 10, 20

local function deliveries_key(id) return P .. 'deliveries:' .. id end
local function progress_key(id) return P .. 'progress:' .. id end
local function attempts_key(id) return P .. 'attempts:' .. id end

-- Lists a delivery with the job that it tells of; `terms` has about (that job), tells (the event) and, if it shall not
-- begin when that attempt is over, whilst ('ID FENCE').
local function note_delivery(id, terms)
  redis.call('HSET', job_key(id), 'about', terms.about, 'tells', terms.tells)
  if terms.whilst then redis.call('HSET', job_key(id), 'whilst', terms.whilst) end
  -- A list must not outlive the record that it goes with.
  if redis.call('EXISTS', job_key(terms.about)) == 0 then return end
  redis.call('RPUSH', deliveries_key(terms.about), id)
  redis.call('LTRIM', deliveries_key(terms.about), -DELIVERIES_KEPT, -1)
end

-- Whether the attempt `ID FENCE` still runs.
local function is_current(attempt)
  local id, fence = string.match(attempt, '^(%S+) (%S+)$')
  local record = redis.call('HMGET', job_key(id), 'status', 'fence')
  return record[1] == 'running' and record[2] == fence
end

-- Keeps what an attempt has found (JSON), under the moment at which it began; once, however often it is told.
local function note_attempt(id, started, found)
  local entry = started .. ' ' .. found
  if redis.call('LINDEX', attempts_key(id), -1) == entry then return end
  redis.call('RPUSH', attempts_key(id), entry)
  redis.call('LTRIM', attempts_key(id), -ATTEMPTS_KEPT, -1)
end

-- Removes what is kept beside a record: its deliveries, its attempts.
local function forget_deliveries(id)
  redis.call('DEL', deliveries_key(id), progress_key(id), attempts_key(id))
end
