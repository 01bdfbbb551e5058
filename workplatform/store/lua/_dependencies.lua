-- Jobs that wait for others. A job waits for its parents in `children:PARENT` of each that has not ended; `open` in its
-- record says in how many. The last one that ends sets it off, in the same script.

local CHILDREN_AT_ONCE = 100
local ENDINGS = {'completed', 'failed', 'cancelled'}

local function children_key(id) return P .. 'children:' .. id end

-- The ids in a record's field `parents`.
local function parents_of(text)
  local parents = {}
  for id in string.gmatch(text, '%S+') do parents[#parents + 1] = id end
  return parents
end

-- Has a job wait for those of its parents that have not ended; returns how many.
local function await_parents(id, parents)
  local open = 0
  for _, parent in ipairs(parents) do
    if FINAL[redis.call('HGET', job_key(parent), 'status') or 'failed'] then
      redis.call('ZREM', children_key(parent), id)
    else
      redis.call('ZADD', children_key(parent), 0, id)
      redis.call('HSET', job_key(parent), 'children', 1)
      open = open + 1
    end
  end
  return open
end

-- Returns the first of a job's parents that has ended otherwise than the job takes, if there is one. `gone` is how those
-- have ended that retention has removed.
local function broken_parent(parents, policy, gone)
  if policy == 'continue' then return end
  for _, parent in ipairs(parents) do
    local status = redis.call('HGET', job_key(parent), 'status') or gone
    if FINAL[status] and status ~= 'completed' then return parent end
  end
end

-- Returns the first of `parents` that is not known, if there is one.
local function unknown_parent(parents)
  for _, parent in ipairs(parents) do
    if redis.call('EXISTS', job_key(parent)) == 0 then return parent end
  end
end

-- Has the scheduler end a job whose parent has not completed: that takes a callback, which Python makes.
local function doom(id, parent)
  redis.call('HSET', job_key(id), 'doom', parent)
  redis.call('ZADD', P .. 'doomed', now_ms(), id)
end

-- Lets a job whose parents are done begin, or wait for its moment, which counts from now.
local function set_off(id)
  local key = job_key(id)
  local record = redis.call('HMGET', key, 'type', 'group', 'series', 'delay', 'runAt')
  local now = now_ms()
  local due = record[4] and now + record[4] or tonumber(record[5] or nil)
  redis.call('HDEL', key, 'open', 'delay', 'runAt')
  -- Of its series it is the newest only now: before, others had no reason to wait for it.
  if record[3] then redis.call('ZADD', series_key(record[3]), redis.call('INCR', P .. 'sequence'), id) end
  if not due or due <= now then return wake(id) end
  redis.call('HDEL', key, 'wakeup')
  redis.call('HSET', key, 'status', 'scheduled', 'reason', 'delay', 'dueAt', due)
  redis.call('ZADD', P .. 'scheduled', due, id)
  move(id, record[1], 'waiting', 'scheduled', record[2])
  emit('job:queued', id, record[1], 'scheduled')
end

-- Tells a job that one of its parents has ended as `status`.
local function tell_child(id, parent, status)
  local record = redis.call('HMGET', job_key(id), 'status', 'doom', 'onParent', 'group')
  if record[1] ~= 'waiting' then return end
  local open = redis.call('HINCRBY', job_key(id), 'open', -1)
  -- A group that is being cancelled ends it by its own word, not as the child of a parent that was cancelled first.
  if record[2] or is_being_cancelled(record[4]) then return end
  if status ~= 'completed' and record[3] ~= 'continue' then
    doom(id, parent)
  elseif open == 0 then
    set_off(id)
  end
end

-- Tells the jobs that wait for one that has ended, in the order in which they were made; of very many, the scheduler
-- tells the rest.
local function release_children(parent, status)
  local told = redis.call('ZPOPMIN', children_key(parent), CHILDREN_AT_ONCE)
  for at = 1, #told, 2 do tell_child(told[at], parent, status) end
  if redis.call('EXISTS', children_key(parent)) == 0 then
    redis.call('ZREM', P .. 'releasing', parent)
    redis.call('HDEL', job_key(parent), 'children')
    return
  end
  for number, ending in ipairs(ENDINGS) do
    if ending == status then redis.call('ZADD', P .. 'releasing', number, parent) end
  end
end

-- Writes that a new job waits for its parents, as its terms say, if it has to; returns whether it has to.
local function waits_for_parents(id, terms, message)
  local key, parents = job_key(id), terms.dependsOn
  redis.call('HSET', key, 'parents', table.concat(parents, ' '))
  if terms.onParent then redis.call('HSET', key, 'onParent', terms.onParent) end
  local open, broken = await_parents(id, parents), broken_parent(parents, terms.onParent, 'failed')
  if open == 0 and not broken then return false end
  redis.call('HSET', key, 'open', open, 'reason', 'dependencies', 'wakeup', message)
  if terms.delay then redis.call('HSET', key, 'delay', terms.delay) end
  if terms.runAt then redis.call('HSET', key, 'runAt', terms.runAt) end
  if broken then doom(id, broken) end
  return true
end
