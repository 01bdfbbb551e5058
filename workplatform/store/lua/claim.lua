-- Gives a queued job to a worker for one attempt.
-- ARGV: id, worker, node, slots of the node (0 = this type takes none), lease in ms, claim (a word that makes a
--       repeated call, after a lost answer, get the same grant), message (to put back when no slot is free).
-- Reads the record and the node's slots; moves the job queued -> running with a new fence, attempt and lease.
-- Returns {'granted', type, fence, attempts, retries, spec, ms since creation}, {'gone', status} or {'no_slot'}.
local id, worker, node, slots, lease, claim = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local key = job_key(id)
local record = redis.call('HMGET', key, 'status', 'type', 'queue', 'priority', 'claim', 'fence', 'attempts', 'retries',
  'spec', 'createdAt')
local status, type, queue, priority = record[1], record[2], record[3], record[4]

if status == 'running' and record[5] == claim then
  return {'granted', type, record[6], record[7], record[8] or '0', record[9], now_ms() - record[10]}
end
if status ~= 'queued' then return {'gone', status or 'unknown'} end

local now = now_ms()
if slots > 0 then
  -- A queue that was refused before us has the first right to the next free slot, else a busy queue could starve it.
  local waiting = P .. 'slot-queue:' .. node
  redis.call('ZREMRANGEBYSCORE', waiting, '-inf', now - 5000)
  local free = slots - redis.call('SCARD', P .. 'slots:' .. node)
  local asked = redis.call('ZSCORE', waiting, queue) or now
  if free - redis.call('ZCOUNT', waiting, '-inf', '(' .. asked) <= 0 then
    redis.call('ZADD', waiting, 'NX', now, queue)
    redis.call('HSET', key, 'reason', 'slot')
    redis.call('RPUSH', list_key(queue, priority), ARGV[7])
    return {'no_slot'}
  end
  redis.call('ZREM', waiting, queue)
  redis.call('SADD', P .. 'slots:' .. node, id)
end

local fence = redis.call('HINCRBY', key, 'fence', 1)
local attempts = redis.call('HINCRBY', key, 'attempts', 1)
redis.call('ZREM', queued_key(queue, priority), id)
redis.call('ZADD', P .. 'leases', now + lease, id)
redis.call('HDEL', key, 'reason', 'dueAt', 'stage', 'message', 'error')
redis.call('HSET', key, 'status', 'running', 'worker', worker, 'node', node, 'claim', claim, 'startedAt', now,
  'progress', 0)
move(id, type, 'queued', 'running')
emit('job:started', id, type, 'running', {'attempt', attempts, 'progress', 0})
return {'granted', type, fence, attempts, record[8] or '0', record[9], now - record[10]}
