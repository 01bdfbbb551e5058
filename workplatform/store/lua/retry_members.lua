-- Has jobs of a group that is being retried begin again, each once, however many callers and schedulers try.
-- ARGV: group, then id and Celery message of each job, parents before children.
-- Returns how many.
local group, count = ARGV[1], 0
local last = tonumber(redis.call('HGET', group_key(group), 'upTo') or nil)
if not last then return 0 end
for at = 2, #ARGV, 2 do
  local id = ARGV[at]
  if is_to_retry(group, id, last) and can_restart(id)[1] == 'ok' then
    restart(id, ARGV[at + 1])
    count = count + 1
  end
end
return count
