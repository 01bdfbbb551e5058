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

local function is_paused(queue) return redis.call('SISMEMBER', P .. 'paused', queue) == 1 end

local function queue_states()
  return {redis.call('ZRANGEBYSCORE', P .. 'serving', now_ms(), '+inf'), redis.call('SMEMBERS', P .. 'paused')}
end
