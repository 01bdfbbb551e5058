-- What every script shares; it is put before each of them. Keys are described in ../keys.py.
-- The scripts name their keys themselves: the store is one Redis, not a cluster.
local P = '@PREFIX@'
local EVENTS_KEPT = @EVENTS_KEPT@
local LOG_LINES = @LOG_LINES@

local PARKED_MS = 1000
local FIRES_KEPT = 50

local FINAL = {completed = true, failed = true, cancelled = true}

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function job_key(id) return P .. 'job:' .. id end
local function index_key(type, status) return P .. 'index:' .. type .. ':' .. status end
local function series_key(series) return P .. 'series:' .. series end
local function holder_key(series) return P .. 'holder:' .. series end
local function unique_key(type, unique) return P .. 'unique:' .. type .. ':' .. unique end
local function schedule_key(name) return P .. 'schedule:' .. name end
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

-- Whether another job that is not final holds a unique key; returns its id.
local function unique_holder(type, unique)
  local other = redis.call('GET', unique_key(type, unique))
  if other and not FINAL[redis.call('HGET', job_key(other), 'status') or 'failed'] then return other end
end

-- Notes when a job has to have begun (only until it has) or has to have ended, whichever comes first.
local function limit_time(id, expires, deadline)
  if not expires and not deadline then
    redis.call('ZREM', P .. 'limited', id)
  else
    redis.call('ZADD', P .. 'limited', math.min(expires or math.huge, deadline or math.huge), id)
  end
end

-- Writes what a job's terms ask for beside its first moment.
local function impose(id, type, number, terms, now)
  local expires = terms.ttl and now + terms.ttl or terms.expiresAt
  local deadline = terms.within and now + terms.within or terms.deadline
  if expires then redis.call('HSET', job_key(id), 'expiresAt', expires) end
  if deadline then redis.call('HSET', job_key(id), 'deadline', deadline) end
  if expires or deadline then limit_time(id, expires, deadline) end
  if terms.unique then
    redis.call('HSET', job_key(id), 'unique', terms.unique)
    redis.call('SET', unique_key(type, terms.unique), id)
  end
  if terms.series then
    redis.call('HSET', job_key(id), 'series', terms.series)
    redis.call('ZADD', series_key(terms.series), number, id)
  end
end

local NO_TERMS = {}

-- Creates jobs from `args`, seven words a job, from position `first` on:
-- id, type, queue, priority, spec (JSON), message, terms ('' = none, or a JSON object, moments and spans in ms):
--   delay or runAt: not before;  ttl or expiresAt: fails if not begun by then;  within or deadline: fails if not ended;
--   unique: not made while another active job of its type has the same word;  series: see below.
-- One call per list and index, not per job: bulk submission lives on that.
-- Returns {moment, id and the id of the active job in its place, for each that was not made}.
local function create(args, first)
  local now = now_ms()
  local count = math.floor((#args - first + 1) / 7)
  local number = redis.call('INCRBY', P .. 'sequence', count) - count
  local lists, queued, indexes, types, answer = {}, {}, {}, {}, {now}
  local function collect(groups, key, ...)
    local group = groups[key]
    if not group then group = {}; groups[key] = group end
    for _, word in ipairs({...}) do group[#group + 1] = word end
  end
  local function make(at, terms)
    local id, type, queue, priority = args[at], args[at + 1], args[at + 2], args[at + 3]
    local due = terms.delay and now + terms.delay or terms.runAt
    local status = due and due > now and 'scheduled' or 'queued'
    if status == 'scheduled' then
      redis.call('HSET', job_key(id), 'type', type, 'queue', queue, 'priority', priority, 'spec', args[at + 4],
        'status', status, 'createdAt', now, 'reason', 'delay', 'dueAt', due)
      redis.call('ZADD', P .. 'scheduled', due, id)
    else
      redis.call('HSET', job_key(id), 'type', type, 'queue', queue, 'priority', priority, 'spec', args[at + 4],
        'status', status, 'createdAt', now, 'sequence', number)
      collect(lists, list_key(queue, priority), args[at + 5])
      collect(queued, queued_key(queue, priority), number, id)
    end
    if terms ~= NO_TERMS then impose(id, type, number, terms, now) end
    collect(indexes, index_key(type, status), 0, id)
    types[type] = true
    emit('job:queued', id, type, status)
  end
  for at = first, #args, 7 do
    local terms = args[at + 6] ~= '' and cjson.decode(args[at + 6]) or NO_TERMS
    local other = terms.unique and unique_holder(args[at + 1], terms.unique)
    number = number + 1
    if other then
      answer[#answer + 1] = args[at]
      answer[#answer + 1] = other
    else
      make(at, terms)
    end
  end
  for key, members in pairs(indexes) do redis.call('ZADD', key, unpack(members)) end
  for key, members in pairs(queued) do redis.call('ZADD', key, unpack(members)) end
  for key, messages in pairs(lists) do redis.call('LPUSH', key, unpack(messages)) end
  for type in pairs(types) do redis.call('SADD', P .. 'types', type) end
  return answer
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

-- Does what every ending of a job has in common; `record` is {series, unique, expiresAt, deadline}.
local function conclude(id, type, now, record)
  redis.call('ZADD', P .. 'finished', now, id)
  if record[1] then leave_series(record[1], id) end
  if record[2] and redis.call('GET', unique_key(type, record[2])) == id then
    redis.call('DEL', unique_key(type, record[2]))
  end
  if record[3] or record[4] then redis.call('ZREM', P .. 'limited', id) end
end

-- Ends a job from outside, whatever it does: a running one's worker learns it at its next beat.
-- Returns its status before; nothing is done if that is final, or 'running' and `spares_running`.
local function end_job(id, next_status, event, text, failure, spares_running)
  local key = job_key(id)
  local record = redis.call('HMGET', key, 'status', 'type', 'queue', 'priority', 'node', 'progress', 'stage', 'fence',
    'series', 'unique', 'expiresAt', 'deadline')
  local status, type, series = record[1], record[2], record[9]
  if not status or FINAL[status] or (status == 'running' and spares_running) then return status end
  local now = now_ms()
  if status == 'running' then
    -- Its worker needs a moment to end it; until then nobody else of its series may begin.
    local left = (redis.call('ZSCORE', P .. 'leases', id) or now) - now
    if series and holds(series, id, record[8]) then redis.call('PEXPIRE', holder_key(series), math.max(left, 1000)) end
    unclaim(id, record[5])
  end
  redis.call('ZREM', queued_key(record[3], record[4]), id)
  redis.call('ZREM', P .. 'scheduled', id)
  redis.call('HDEL', key, 'reason', 'dueAt')
  redis.call('HSET', key, 'status', next_status, 'finishedAt', now, 'message', text)
  if failure ~= '' then redis.call('HSET', key, 'error', failure) end
  move(id, type, status, next_status)
  emit(event, id, type, next_status, {'progress', record[6] or '0', 'stage', record[7] or '', 'message', text,
    'error', failure})
  conclude(id, type, now, {record[9], record[10], record[11], record[12]})
  return status
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

local function is_paused(queue) return redis.call('SISMEMBER', P .. 'paused', queue) == 1 end

-- Notes when a schedule fires next ('' = not any more, or not while it is paused).
local function set_next_fire(name, next)
  if next == '' then
    redis.call('HDEL', schedule_key(name), 'nextAt')
  else
    redis.call('HSET', schedule_key(name), 'nextAt', next)
  end
  redis.call('ZADD', P .. 'schedules', next == '' and '+inf' or next, name)
end

local function queue_states()
  return {redis.call('ZRANGEBYSCORE', P .. 'serving', now_ms(), '+inf'), redis.call('SMEMBERS', P .. 'paused')}
end

-- Gives a queued job to a claimant {worker, node, slots (0 = takes none), lease in ms, claim}; see claim.lua.
-- `message` goes back to the front of its list if there is no slot, or the queue is paused.
local function claim_job(id, claimant, message)
  local key = job_key(id)
  local record = redis.call('HMGET', key, 'status', 'type', 'queue', 'priority', 'claim', 'fence', 'attempts',
    'retries', 'spec', 'createdAt', 'reason', 'stage', 'error', 'series', 'expiresAt', 'deadline')
  local status, type, queue, priority = record[1], record[2], record[3], record[4]
  local worker, node, slots, lease, claim = unpack(claimant)
  local now = now_ms()
  if status == 'running' and record[5] == claim then
    return {'granted', id, type, priority, record[6], record[7], record[8] or '0', record[9], now - record[10]}
  end
  if status ~= 'queued' then return {'gone', status or 'unknown'} end
  local expires, deadline = tonumber(record[15] or nil), tonumber(record[16] or nil)
  -- The scheduler is about to end it.
  if math.min(expires or now, deadline or now) < now then return {'gone', 'expired'} end
  if is_paused(queue) then
    redis.call('RPUSH', list_key(queue, priority), message)
    return {'paused'}
  end
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
  if expires then
    redis.call('HDEL', key, 'expiresAt')
    limit_time(id, nil, deadline)
  end
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
  if is_paused(queue) then return false end
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
