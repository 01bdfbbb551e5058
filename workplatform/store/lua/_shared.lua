-- What every script shares; it is put before each of them. Keys are described in ../keys.py.
-- The scripts name their keys themselves: the store is one Redis, not a cluster.
local P = '@PREFIX@'
local EVENTS_KEPT = @EVENTS_KEPT@
local LOG_LINES = @LOG_LINES@

local PARKED_MS = 1000

local FINAL = {completed = true, failed = true, cancelled = true}

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function job_key(id) return P .. 'job:' .. id end
local function index_key(type, status) return P .. 'index:' .. type .. ':' .. status end
local function series_key(series) return P .. 'series:' .. series end
local function holder_key(series) return P .. 'holder:' .. series end
local function queued_key(queue, priority) return P .. 'queued:' .. queue .. ':' .. priority end

-- kombu's name for the list of a queue at a priority; 0 has the bare name.
local function list_key(queue, priority)
  if tonumber(priority) == 0 then return P .. queue end
  return P .. queue .. '\6\22' .. priority
end

-- Appends an event; `more` holds further field-value pairs.
local function emit(event, id, type, status, more)
  redis.call('XADD', P .. 'events', 'MAXLEN', '~', EVENTS_KEPT, '*',
    'event', event, 'job', id, 'type', type, 'status', status, unpack(more or {}))
end

local function move(id, type, from, to)
  redis.call('ZREM', index_key(type, from), id)
  redis.call('ZADD', index_key(type, to), 0, id)
end

local function append_logs(id, lines)
  for _, line in ipairs(lines) do
    redis.call('XADD', P .. 'logs:' .. id, 'MAXLEN', '~', LOG_LINES, '*', 'text', line)
  end
end

-- Puts a job's message at the back of its list with a new number or, with `front`, first in line with the old one.
local function push(id, queue, priority, message, front)
  local list = list_key(queue, priority)
  local number = front and redis.call('HGET', job_key(id), 'sequence')
  if number then
    redis.call('RPUSH', list, message)
  else
    number = redis.call('INCR', P .. 'sequence')
    redis.call('HSET', job_key(id), 'sequence', number)
    redis.call('LPUSH', list, message)
  end
  redis.call('ZADD', queued_key(queue, priority), number, id)
end

-- Creates jobs from `args`, nine words a job, from position `first` on:
-- id, type, queue, priority, spec (JSON), message, delay in ms (0 = now), reason for the delay, series ('' = none).
-- One call per list and index, not per job: bulk submission lives on that.
local function create(args, first)
  local now = now_ms()
  local count = math.floor((#args - first + 1) / 9)
  local number = redis.call('INCRBY', P .. 'sequence', count) - count
  local lists, queued, indexes, types = {}, {}, {}, {}
  local function collect(groups, key, ...)
    local group = groups[key]
    if not group then group = {}; groups[key] = group end
    for _, word in ipairs({...}) do group[#group + 1] = word end
  end
  for at = first, #args, 9 do
    local id, type, queue, priority = args[at], args[at + 1], args[at + 2], args[at + 3]
    local delay = tonumber(args[at + 6])
    local status = delay > 0 and 'scheduled' or 'queued'
    number = number + 1
    if delay > 0 then
      redis.call('HSET', job_key(id), 'type', type, 'queue', queue, 'priority', priority, 'spec', args[at + 4],
        'status', status, 'createdAt', now, 'reason', args[at + 7], 'dueAt', now + delay)
      redis.call('ZADD', P .. 'scheduled', now + delay, id)
    else
      redis.call('HSET', job_key(id), 'type', type, 'queue', queue, 'priority', priority, 'spec', args[at + 4],
        'status', status, 'createdAt', now, 'sequence', number)
      collect(lists, list_key(queue, priority), args[at + 5])
      collect(queued, queued_key(queue, priority), number, id)
    end
    if args[at + 8] ~= '' then
      redis.call('HSET', job_key(id), 'series', args[at + 8])
      redis.call('ZADD', series_key(args[at + 8]), number, id)
    end
    collect(indexes, index_key(type, status), 0, id)
    types[type] = true
    emit('job:queued', id, type, status)
  end
  for key, members in pairs(indexes) do redis.call('ZADD', key, unpack(members)) end
  for key, members in pairs(queued) do redis.call('ZADD', key, unpack(members)) end
  for key, messages in pairs(lists) do redis.call('LPUSH', key, unpack(messages)) end
  for type in pairs(types) do redis.call('SADD', P .. 'types', type) end
  return now
end

-- Takes a running job from its worker: lease and slot. Who it was stays in the record, for people.
local function unclaim(id, node)
  redis.call('ZREM', P .. 'leases', id)
  redis.call('SREM', P .. 'slots:' .. (node or ''), id)
end

-- Forgets queues that asked for a slot and were not heard of for 5 s: their worker is gone or has nothing to claim.
local function tidy_line(line, now)
  for _, queue in ipairs(redis.call('ZRANGEBYSCORE', line .. ':seen', '-inf', now - 5000)) do
    redis.call('ZREM', line, queue)
    redis.call('ZREM', line .. ':seen', queue)
  end
end

-- Gives a refused queue its place in the line, or keeps the one it has.
local function stand_in_line(line, queue, now)
  redis.call('ZADD', line, 'NX', now, queue)
  redis.call('ZADD', line .. ':seen', now, queue)
end

local function leave_line(line, queue)
  redis.call('ZREM', line, queue)
  redis.call('ZREM', line .. ':seen', queue)
end

-- Whether a queue may have one more of the node's slots. A queue that was refused before us has the first right to the
-- next free one, else a busy queue could starve it; a refused queue gets its place in that line here.
local function takes_slot(queue, node, slots, now)
  local free = slots - redis.call('SCARD', P .. 'slots:' .. node)
  local line = P .. 'slot-queue:' .. node
  if free > 0 and redis.call('ZCARD', line) == 0 then return true end
  tidy_line(line, now)
  local asked = redis.call('ZSCORE', line, queue)
  local before = redis.call('ZCOUNT', line, '-inf', asked and '(' .. asked or '+inf')
  if free <= before then
    stand_in_line(line, queue, now)
    return false
  end
  leave_line(line, queue)
  return true
end

-- Of the jobs of a series one runs at a time, and only the newest one is worth running: those before it are superseded.

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
  if redis.call('ZCARD', key) > 1 then return end
  if newest == id or FINAL[redis.call('HGET', job_key(newest), 'status') or 'failed'] then redis.call('DEL', key) end
end

-- Has a job wait for its series: the scheduler looks again after `delay` ms.
local function park(id, type, status, delay)
  local due = now_ms() + delay
  redis.call('HSET', job_key(id), 'status', 'waiting', 'reason', 'series', 'dueAt', due)
  redis.call('ZADD', P .. 'scheduled', due, id)
  if status == 'waiting' then return end
  move(id, type, status, 'waiting')
  emit('job:queued', id, type, 'waiting')
end

-- Gives a queued job to a claimant {worker, node, slots (0 = takes none), lease in ms, claim}; see claim.lua.
-- `message` goes back to the front of its list if there is no slot.
local function claim_job(id, claimant, message)
  local key = job_key(id)
  local record = redis.call('HMGET', key, 'status', 'type', 'queue', 'priority', 'claim', 'fence', 'attempts',
    'retries', 'spec', 'createdAt', 'reason', 'stage', 'error', 'series')
  local status, type, queue, priority = record[1], record[2], record[3], record[4]
  local worker, node, slots, lease, claim = unpack(claimant)
  local now = now_ms()
  if status == 'running' and record[5] == claim then
    return {'granted', id, type, priority, record[6], record[7], record[8] or '0', record[9], now - record[10]}
  end
  if status ~= 'queued' then return {'gone', status or 'unknown'} end
  local series = record[14]
  local superseded = series and is_superseded(series, id)
  if superseded or (series and is_held(series, id)) then
    redis.call('ZREM', queued_key(queue, priority), id)
    park(id, type, status, superseded and 0 or PARKED_MS)
    return {'parked'}
  end
  if slots > 0 then
    if not takes_slot(queue, node, slots, now) then
      redis.call('HSET', key, 'reason', 'slot')
      redis.call('RPUSH', list_key(queue, priority), message)
      return {'no_slot'}
    end
    redis.call('SADD', P .. 'slots:' .. node, id)
  end

  local fence, attempts = (record[6] or 0) + 1, (record[7] or 0) + 1
  if series then redis.call('SET', holder_key(series), id .. ' ' .. fence) end
  redis.call('ZREM', queued_key(queue, priority), id)
  redis.call('ZADD', P .. 'leases', now + lease, id)
  if record[11] or record[12] or record[13] then redis.call('HDEL', key, 'reason', 'stage', 'message', 'error') end
  redis.call('HSET', key, 'status', 'running', 'worker', worker, 'node', node, 'claim', claim, 'startedAt', now,
    'progress', 0, 'fence', fence, 'attempts', attempts)
  move(id, type, 'queued', 'running')
  emit('job:started', id, type, 'running', {'attempt', attempts, 'progress', 0})
  return {'granted', id, type, priority, fence, attempts, record[8] or '0', record[9], now - record[10]}
end

-- Pops a queue's messages, the most urgent first, until one can be claimed; false if there is none or no slot.
-- A worker that ends a job takes its next one like this, in the same round trip.
local function claim_next(queue, claimant)
  for priority = 0, 4 do
    for tries = 1, 21 do
      -- Enough for one step: what is left comes through Celery. Going on to the next priority would overtake it.
      if tries == 21 then return false end
      local message = redis.call('RPOP', list_key(queue, priority))
      if not message then break end
      local answer = claim_job(cjson.decode(message).headers.id, claimant, message)
      if answer[1] == 'granted' then return answer end
      if answer[1] == 'no_slot' then return false end
    end
  end
  return false
end
