-- Removes final jobs that ended long ago, a bounded number a call, so that Redis is never held up.
-- ARGV: age in ms, most jobs.
-- Returns how many were removed.
local ids = redis.call('ZRANGEBYSCORE', P .. 'finished', '-inf', now_ms() - ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do
  local record = redis.call('HMGET', job_key(id), 'type', 'status')
  if record[1] then redis.call('ZREM', index_key(record[1], record[2]), id) end
  redis.call('ZREM', P .. 'finished', id)
  redis.call('DEL', job_key(id), P .. 'logs:' .. id)
end
return #ids
