-- Groups: the jobs of a flow or of a batch, by their status; the record's field `group` says which one a job is of.

local STATUSES = {'waiting', 'scheduled', 'queued', 'running', 'completed', 'failed', 'cancelled'}
local RUNNING_LOOKED_AT = 200
local EMPTY_KEPT_MS = 24 * 3600 * 1000

local function is_over(group)
  return redis.call('EXISTS', member_key(group, 'waiting'), member_key(group, 'scheduled'), member_key(group, 'queued'),
    member_key(group, 'running')) == 0
end

local function has_jobs(group)
  for _, status in ipairs(STATUSES) do
    if redis.call('EXISTS', member_key(group, status)) == 1 then return true end
  end
  return false
end

local function is_of_flow(group) return group and string.sub(group, 1, 5) == 'flow:' end

-- Adds the jobs of a flow (at most 100) that have ended to what retention looks at, or takes them away from there: all of
-- them stay until that long after the end of the flow, since later steps need the results of earlier ones.
local function expose_flow(group, now)
  for _, status in ipairs({'completed', 'failed', 'cancelled'}) do
    for _, id in ipairs(redis.call('ZRANGE', member_key(group, status), 0, -1)) do
      local key = finished_key(redis.call('HGET', job_key(id), 'type'), status)
      if now then redis.call('ZADD', key, now, id) else redis.call('ZREM', key, id) end
    end
  end
end

-- Whether somebody is cancelling a group.
local function is_being_cancelled(group) return group and redis.call('HGET', group_key(group), 'work') == 'cancel' end

-- Whether a job of a group has failed or was cancelled, as number `last` or before.
local function is_to_retry(group, id, last)
  for _, status in ipairs({'failed', 'cancelled'}) do
    local number = redis.call('ZSCORE', member_key(group, status), id)
    if number then return tonumber(number) <= last end
  end
  return false
end

-- Has a group that nobody is to be told of any more forgotten, if there never was a job in it: with no job it goes by.
local function let_go_if_empty(group)
  if not has_jobs(group) then redis.call('PEXPIRE', group_key(group), EMPTY_KEPT_MS) end
end

-- Has the end of a group told, once, if its last open job has ended.
local function end_group(group, now)
  local key = group_key(group)
  if not is_over(group) or redis.call('HSETNX', key, 'finishedAt', now) == 0 then return end
  if is_of_flow(group) then expose_flow(group, now) end
  if redis.call('HEXISTS', key, 'tells') == 0 then return let_go_if_empty(group) end
  redis.call('ZADD', P .. 'group-endings', now, group)
end

-- Makes a group, unless there is one.
local function make_group(group, now) redis.call('HSETNX', group_key(group), 'createdAt', now) end

-- Lists a batch, by the number of its first job.
local function list_batch(batch)
  if redis.call('ZSCORE', P .. 'batches', batch) then return end
  redis.call('ZADD', P .. 'batches', redis.call('INCR', P .. 'sequence'), batch)
end

-- Opens a group again that has ended, since a job of it begins: its end is not told any more, if it was not yet.
local function open_group(group)
  redis.call('PERSIST', group_key(group))
  if not is_of_flow(group) then list_batch(string.sub(group, 7)) end
  if redis.call('HDEL', group_key(group), 'finishedAt') == 0 then return end
  redis.call('ZREM', P .. 'group-endings', group)
  if is_of_flow(group) then expose_flow(group, nil) end
end

-- Keeps what is said of a group: `spec` is JSON, `tells` whether somebody wants to know its end. What was said before
-- gives way to those who do, and to nobody else.
local function describe_group(group, spec, tells)
  if not tells and redis.call('HEXISTS', group_key(group), 'spec') == 1 then return end
  redis.call('HSET', group_key(group), 'spec', spec)
  if tells then redis.call('HSET', group_key(group), 'tells', 1) end
end

-- Takes a job that is removed out of its group, which goes with the last one.
local function leave_group(id, group, status)
  redis.call('ZREM', member_key(group, status), id)
  if has_jobs(group) then return end
  redis.call('DEL', group_key(group))
  redis.call('ZREM', P .. 'flows', string.sub(group, 6))
  redis.call('ZREM', P .. 'batches', string.sub(group, 7))
  redis.call('ZREM', P .. 'group-endings', group)
  redis.call('ZREM', P .. 'group-work', group)
end

-- Returns {fields of a group (flat), how many of its jobs have each of the statuses, progress of its running jobs, added
-- up}; of more than RUNNING_LOOKED_AT running jobs, the progress is that of as many, multiplied.
local function group_state(group)
  local counts = {}
  for at, status in ipairs(STATUSES) do counts[at] = redis.call('ZCARD', member_key(group, status)) end
  local sum, looked_at = 0, math.min(counts[4], RUNNING_LOOKED_AT)
  for _, id in ipairs(redis.call('ZRANGE', member_key(group, 'running'), 0, RUNNING_LOOKED_AT - 1)) do
    sum = sum + (redis.call('HGET', job_key(id), 'progress') or 0)
  end
  if looked_at > 0 then sum = sum * counts[4] / looked_at end
  return {redis.call('HGETALL', group_key(group)), counts, tostring(sum)}
end
