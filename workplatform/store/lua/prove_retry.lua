-- Looks at the jobs that a retry of many has sent before the others: it goes on when all have completed, and stops when
-- one has ended otherwise.
-- ARGV: id.
-- Returns its status.
local name, key = ARGV[1], retry_key(ARGV[1])
local record = redis.call('HMGET', key, 'status', 'canaries', 'isLast')
if record[1] ~= 'proving' then return record[1] or '' end
local open = 0
for id in string.gmatch(record[2] or '', '%S+') do
  local status = redis.call('HGET', job_key(id), 'status') or 'gone'
  if status == 'failed' or status == 'cancelled' or status == 'gone' then
    end_retry(name, 'stopped', 'job ' .. id .. ' of the first ones is ' .. status)
    return 'stopped'
  end
  if status ~= 'completed' then open = open + 1 end
end
if open > 0 then return 'proving' end
if record[3] then
  end_retry(name, 'completed', '')
  return 'completed'
end
redis.call('HSET', key, 'status', 'running')
return 'running'
