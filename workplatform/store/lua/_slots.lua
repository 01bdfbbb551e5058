-- The node's slots: how many of its jobs run at a time, over all queues.

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
