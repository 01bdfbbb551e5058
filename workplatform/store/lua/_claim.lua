-- How an attempt begins.

-- Gives a queued job to a claimant {worker, node, slots (0 = takes none), lease in ms, claim}; see claim.lua.
-- `message` goes back to the front of its list if there is no slot, or the queue is paused.
local function claim_job(id, claimant, message)
  local key = job_key(id)
  local record = redis.call('HMGET', key, 'status', 'type', 'queue', 'priority', 'claim', 'fence', 'attempts',
    'retries', 'spec', 'createdAt', 'reason', 'stage', 'error', 'series', 'expiresAt', 'deadline', 'whilst',
    'group', 'by', 'concurrency', 'turn', 'limits', 'schemaVersion', 'about')
  local status, type, queue, priority = record[1], record[2], record[3], record[4]
  local worker, node, slots, lease, claim = unpack(claimant)
  local now = now_ms()
  if status == 'running' and record[5] == claim then
    return {'granted', id, type, priority, record[6], record[7], record[8] or '0', record[9], now - record[10]}
  end
  if status ~= 'queued' then return {'gone', status or 'unknown'} end
  -- It goes to a worker that knows it: the scheduler gives it another message.
  if tonumber(record[23] or 1) > SCHEMA_VERSION then return {'gone', 'newer'} end
  local expires, deadline = tonumber(record[15] or nil), tonumber(record[16] or nil)
  -- The scheduler is about to end it.
  if math.min(expires or math.huge, deadline or math.huge) <= now then return {'gone', 'expired'} end
  if record[17] and not is_current(record[17]) then
    end_job(id, 'cancelled', 'job:cancelled', 'the job that it tells of has gone on', '', false)
    return {'gone', 'cancelled'}
  end
  local by, turn = record[19] or DEFAULT_KEY, record[21]
  local rules = redis.call('HMGET', RULES, 'paused:' .. queue, lane_field(queue, priority), 'type:' .. type, 'key:' .. by)
  local lane = rules[2]
  if rules[1] then
    redis.call('RPUSH', list_key(queue, priority), message)
    return {'paused'}
  end
  local series = record[14]
  local superseded = series and is_superseded(series, id)
  if superseded or (series and is_held(series, id)) then
    leave_lane(id, queue, priority, by, lane)
    park(id, type, status, superseded and 0 or PARKED_MS, record[18])
    return {'parked'}
  end
  -- A key's limit is for what its caller asks for: deliveries about that neither wait for it nor take room from it.
  local of_key = not record[24] and rules[4]
  local limits = (rules[3] or of_key or record[20]) and limits_of(type, by, rules[3], of_key, record[20])
  if limits then
    local limit, why = lacking(limits, turn, now)
    if limit then
      leave_lane(id, queue, priority, by, lane)
      park_at(id, limit.name, why, message, {type, priority, by, turn, record[18]})
      return {'limited'}
    end
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
  local held = limits and take_part(id, limits, now)
  if held then
    redis.call('HSET', key, 'limits', held)
  elseif record[22] then
    redis.call('HDEL', key, 'limits')
  end
  if turn then
    redis.call('HDEL', key, 'turn')
    redis.call('ZREM', woken_key(turn), id)
  end
  leave_lane(id, queue, priority, by, lane)
  redis.call('ZADD', P .. 'leases', now + lease, id)
  if record[11] or record[12] or record[13] then redis.call('HDEL', key, 'reason', 'stage', 'message', 'error') end
  redis.call('HSET', key, 'status', 'running', 'worker', worker, 'node', node, 'claim', claim, 'startedAt', now,
    'progress', 0, 'fence', fence, 'attempts', attempts)
  move(id, type, 'queued', 'running', record[18])
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
      local answer = claim_job(id_of(message), claimant, message)
      if answer[1] == 'granted' then return answer end
      if answer[1] == 'no_slot' then return false end
    end
  end
  return false
end
