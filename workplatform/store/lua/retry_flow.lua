-- Has the steps of a flow that have not completed begin again; those that have keep their results.
-- ARGV: group, then id and Celery message of each step, parents before children.
-- Returns {'ok', how many}, {'busy'} (it is being cancelled), {'unknown'}, {'nothing'} or {'held', id of the step, id of the
-- active job with its unique key}.
local group = ARGV[1]
if redis.call('EXISTS', group_key(group)) == 0 then return {'unknown'} end
if redis.call('HEXISTS', group_key(group), 'work') == 1 then return {'busy'} end

local again, waiting = {}, {}
for at = 2, #ARGV, 2 do
  local id = ARGV[at]
  local record = redis.call('HMGET', job_key(id), 'status', 'type', 'unique', 'open')
  if record[1] == 'failed' or record[1] == 'cancelled' then
    local other = record[3] and unique_holder(record[2], record[3])
    if other then return {'held', id, other} end
    again[#again + 1] = at
  elseif record[4] then
    waiting[#waiting + 1] = id
  end
end
if #again == 0 then return {'nothing'} end

redis.call('HDEL', group_key(group), 'cancelledAt')
for _, at in ipairs(again) do restart(ARGV[at], ARGV[at + 1]) end
-- Those that still wait do so for the steps that begin again too; no such step ends them any more.
for _, id in ipairs(waiting) do
  redis.call('ZREM', P .. 'doomed', id)
  redis.call('HDEL', job_key(id), 'doom')
  local open = await_parents(id, parents_of(redis.call('HGET', job_key(id), 'parents')))
  redis.call('HSET', job_key(id), 'open', open)
  if open == 0 then set_off(id) end
end
return {'ok', #again}
