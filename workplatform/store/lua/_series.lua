-- Of the jobs of a series one runs at a time, and only the newest one is worth running: those before it are superseded.

local PARKED_MS = 1000

-- Whether a newer job of its series makes this one pointless. Cancelling it takes a callback, so it is left to Python.
local function is_superseded(series, id)
  local newest = redis.call('ZREVRANGE', series_key(series), 0, 0)[1]
  return newest and newest ~= id
end

-- Whether an attempt of another job holds the series: that job runs, or was cancelled and its worker is still ending it
-- (then, and only then, the key expires by itself: with the lease that this worker goes on renewing).
local function is_held(series, id)
  local holder = redis.call('GET', holder_key(series))
  if not holder then return false end
  local other, fence = string.match(holder, '^(%S+) (%S+)$')
  if other == id then return false end
  if redis.call('PTTL', holder_key(series)) > 0 then return true end
  local record = redis.call('HMGET', job_key(other), 'status', 'fence')
  return record[1] == 'running' and record[2] == fence
end

local function holds(series, id, fence)
  return redis.call('GET', holder_key(series)) == id .. ' ' .. fence
end

-- Ends an attempt's hold of its series, if it has it, and has the newest job looked at if that waits.
local function release_series(series, id, fence)
  if not holds(series, id, fence) then return end
  redis.call('DEL', holder_key(series))
  local newest = redis.call('ZREVRANGE', series_key(series), 0, 0)[1]
  if newest and redis.call('HGET', job_key(newest), 'status') == 'waiting' then
    redis.call('ZADD', P .. 'scheduled', now_ms(), newest)
    redis.call('HSET', job_key(newest), 'dueAt', now_ms())
  end
end

-- Takes a job that has ended out of its series. The newest stays listed as long as older ones are not final: they must
-- not run after it.
local function leave_series(series, id)
  local key = series_key(series)
  local newest = redis.call('ZREVRANGE', key, 0, 0)[1]
  if newest ~= id then redis.call('ZREM', key, id) end
  if not newest or redis.call('ZCARD', key) > 1 then return end
  if newest == id or FINAL[redis.call('HGET', job_key(newest), 'status') or 'failed'] then redis.call('DEL', key) end
end

-- Has a job wait for its series: the scheduler looks again after `delay` ms.
local function park(id, type, status, delay, group)
  local due = now_ms() + delay
  redis.call('HSET', job_key(id), 'status', 'waiting', 'reason', 'series', 'dueAt', due)
  redis.call('ZADD', P .. 'scheduled', due, id)
  if status == 'waiting' then return end
  move(id, type, status, 'waiting', group)
  emit('job:queued', id, type, 'waiting')
end
