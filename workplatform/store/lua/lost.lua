-- Finds queued jobs whose message is gone (its worker died between popping and claiming): the watermark rule.
-- Lists are first in, first out, so a job with a lower number than its list's next message has no message. A worker
-- may be about to claim it, so it is a suspect first and lost only when it still is one after the patience.
-- ARGV: queue, priority, patience in ms, most ids.
-- Returns the ids of lost jobs, newest first: pushing them to the front in that order restores the line.
local queue, priority, patience, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local below = '+inf'
local next_message = redis.call('LINDEX', list_key(queue, priority), -1)
if next_message then
  local id = cjson.decode(next_message).headers.id
  below = '(' .. (redis.call('HGET', job_key(id), 'sequence') or '0')
end
local now, lost = now_ms(), {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', queued_key(queue, priority), '-inf', below, 'LIMIT', 0, most)) do
  local since = redis.call('ZSCORE', P .. 'suspects', id)
  if not since then
    redis.call('ZADD', P .. 'suspects', now, id)
  elseif now - since >= patience then
    table.insert(lost, 1, id)
  end
end
redis.call('ZREMRANGEBYSCORE', P .. 'suspects', '-inf', now - patience - 60000)
return lost
