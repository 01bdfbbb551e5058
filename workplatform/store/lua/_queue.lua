-- Lists of messages.

-- Queues a job: its message goes to the back of its lane or, with `front`, first in line with the number it had.
local function push(id, queue, priority, message, front)
  local record = redis.call('HMGET', job_key(id), 'sequence', 'by')
  local number, by = front and record[1], record[2] or DEFAULT_KEY
  local is_shared = is_shared_for(queue, priority, by)
  if is_shared and not number then return take_turn(id, queue, priority, by, message) end
  if number then
    redis.call('RPUSH', list_key(queue, priority), message)
  else
    number = line_up(id, queue, priority, message)
  end
  local added = redis.call('ZADD', queued_key(queue, priority), number, id)
  if is_shared then
    redis.call('ZREM', behind_key(queue, priority, by), id)
    redis.call('HINCRBY', standing_key(queue, priority), by, added)
  end
end

-- Queues a job that waited, with the message given or the one that was kept for it in its record as `wakeup`.
-- `front`: as push() has it.
local function wake(id, message, front)
  local key = job_key(id)
  local record = redis.call('HMGET', key, 'type', 'status', 'queue', 'priority', 'wakeup', 'group')
  redis.call('ZREM', P .. 'scheduled', id)
  redis.call('HDEL', key, 'reason', 'dueAt', 'wakeup')
  redis.call('HSET', key, 'status', 'queued')
  move(id, record[1], record[2], 'queued', record[6])
  push(id, record[3], record[4], message or record[5], front)
  emit('job:queued', id, record[1], 'queued')
end
