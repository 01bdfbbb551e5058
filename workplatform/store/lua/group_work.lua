-- Says what is next in cancelling or retrying a group.
-- ARGV: group, number up to which its jobs have been retried ('' = as noted), most jobs.
-- Returns {work, number up to which that is, the jobs' ids}; {''} once all is done.
local group, most = ARGV[1], tonumber(ARGV[3])
local key = group_key(group)
if ARGV[2] ~= '' then redis.call('HSET', key, 'cursor', ARGV[2]) end
local state = redis.call('HMGET', key, 'work', 'cursor', 'upTo')

local function open_jobs()
  -- Jobs that wait come first, the newest before those that it may wait for: none shall end with its parent.
  for at = 1, 4 do
    local ids = redis.call('ZREVRANGE', member_key(group, STATUSES[at]), 0, most - 1)
    if #ids > 0 then return {'cancel', 0, ids} end
  end
end

local function ended_jobs()
  local found = {}
  for _, status in ipairs({'failed', 'cancelled'}) do
    local page = redis.call('ZRANGEBYSCORE', member_key(group, status), '(' .. state[2], state[3], 'WITHSCORES',
      'LIMIT', 0, most)
    for at = 1, #page, 2 do found[#found + 1] = {tonumber(page[at + 1]), page[at]} end
  end
  if #found == 0 then return end
  table.sort(found, function(a, b) return a[1] < b[1] end)
  local ids, is_taken = {}, {}
  -- Parents come before their children, whichever ended first: a child cannot begin again before they do.
  local function take(id)
    if is_taken[id] then return end
    is_taken[id] = true
    for _, parent in ipairs(parents_of(redis.call('HGET', job_key(id), 'parents') or '')) do
      if is_to_retry(group, parent, tonumber(state[3])) then take(parent) end
    end
    ids[#ids + 1] = id
  end
  local count = math.min(most, #found)
  for at = 1, count do take(found[at][2]) end
  return {'retry', found[count][1], ids}
end

local step
if state[1] == 'cancel' then step = open_jobs() end
if state[1] == 'retry' then step = ended_jobs() end
if step then return step end
redis.call('HDEL', key, 'work', 'cursor', 'upTo')
redis.call('ZREM', P .. 'group-work', group)
return {''}
