-- Lists of messages, and how queues stand.

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

-- Queues a job that waited, with the message given or the one that was kept for it in its record as `wakeup`.
local function wake(id, message)
  local key = job_key(id)
  local record = redis.call('HMGET', key, 'type', 'status', 'queue', 'priority', 'wakeup', 'group')
  redis.call('ZREM', P .. 'scheduled', id)
  redis.call('HDEL', key, 'reason', 'dueAt', 'wakeup')
  redis.call('HSET', key, 'status', 'queued')
  move(id, record[1], record[2], 'queued', record[6])
  push(id, record[3], record[4], message or record[5], false)
  emit('job:queued', id, record[1], 'queued')
end

local function is_paused(queue) return redis.call('SISMEMBER', P .. 'paused', queue) == 1 end

local function queue_states()
  return {redis.call('ZRANGEBYSCORE', P .. 'serving', now_ms(), '+inf'), redis.call('SMEMBERS', P .. 'paused')}
end
