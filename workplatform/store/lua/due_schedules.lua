-- Lists the schedules whose next moment has come, the one that waits longest first.
-- ARGV: most schedules.
-- Returns {now in ms, name and hash (flat) of each}.
local now = now_ms()
local answer = {now}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', P .. 'schedules', '-inf', now, 'LIMIT', 0, ARGV[1])) do
  answer[#answer + 1] = name
  answer[#answer + 1] = redis.call('HGETALL', schedule_key(name))
end
return answer
