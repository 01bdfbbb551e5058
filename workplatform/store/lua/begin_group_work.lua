-- Begins to cancel the jobs of a group that have not ended, or to retry those that have failed or were cancelled.
-- ARGV: group, 'cancel' or 'retry'.
-- Returns {'ok'}, {'unknown'}, {'over'} (nothing to cancel), {'nothing'} (to retry) or {'busy', what is being done}.
local group, work = ARGV[1], ARGV[2]
local key = group_key(group)
if redis.call('EXISTS', key) == 0 then return {'unknown'} end
local busy = redis.call('HGET', key, 'work')
if busy and busy ~= work then return {'busy', busy} end
if work == 'cancel' then
  if is_over(group) then return {'over'} end
  redis.call('HSET', key, 'work', work, 'cancelledAt', now_ms())
else
  if redis.call('EXISTS', member_key(group, 'failed'), member_key(group, 'cancelled')) == 0 then return {'nothing'} end
  redis.call('HDEL', key, 'cancelledAt')
  -- What fails again from now on has a higher number, and is left alone.
  redis.call('HSET', key, 'work', work, 'cursor', 0, 'upTo', redis.call('INCR', P .. 'sequence'))
end
redis.call('ZADD', P .. 'group-work', now_ms(), group)
return {'ok'}
