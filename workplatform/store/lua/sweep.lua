-- Removes jobs that ended long ago or are too many, a bounded number a call, so that Redis is never held up.
-- ARGV: most jobs, rules (JSON): {ages: {"TYPE:STATUS", or ":STATUS" for all other types: ms},
--       bounds: [{types: [...] (none = all), statuses: [...], most}]}, by which the oldest go.
-- Returns how many were removed, groups of failures too, or moved out of the former index `finished`, which was one
-- for all; a large submission counts for several.
local BYTES_OF_ONE = 100000
local most, rules = tonumber(ARGV[1]), cjson.decode(ARGV[2])
local now, types, done = now_ms(), redis.call('SMEMBERS', P .. 'types'), 0

local former = redis.call('ZRANGE', P .. 'finished', 0, most - 1, 'WITHSCORES')
for at = 1, #former, 2 do
  local record = redis.call('HMGET', job_key(former[at]), 'type', 'status', 'error')
  if record[1] and FINAL[record[2]] then
    redis.call('ZADD', finished_key(record[1], record[2]), 'NX', former[at + 1], former[at])
    if record[2] == 'failed' then index_failure(former[at], record[1], former[at + 1], record[3]) end
  end
  redis.call('ZREM', P .. 'finished', former[at])
  done = done + 1
end

-- Queues that the release before has paused; its workers go on by its own list until they are resumed.
for _, queue in ipairs(redis.call('SMEMBERS', P .. 'paused')) do redis.call('HSET', RULES, 'paused:' .. queue, 1) end

local function remove(id, type, status)
  done = done + 1 + math.floor(redis.call('HSTRLEN', job_key(id), 'spec') / BYTES_OF_ONE)
  remove_job(id, type, status)
end

-- The members of a sorted set up to a moment, as many as may still be removed.
local function up_to(key, moment)
  return redis.call('ZRANGEBYSCORE', key, '-inf', moment, 'LIMIT', 0, math.max(0, most - done))
end

for _, type in ipairs(types) do
  for _, status in ipairs(ENDED) do
    local age = rules.ages[type .. ':' .. status] or rules.ages[':' .. status]
    for _, id in ipairs(up_to(finished_key(type, status), now - age)) do
      if done < most then remove(id, type, status) end
    end
  end
end

-- Groups of failures that have no failed job any more.
local idle = up_to(P .. 'errors:idle', now - rules.ages[':failed'])
for _, fingerprint in ipairs(idle) do drop_error(fingerprint) end
done = done + #idle

-- The oldest job of a bound's types and statuses, as {type, status, id}, and how many there are.
local function oldest(bound)
  local count, found, first = 0, nil, math.huge
  for _, type in ipairs(bound.types or types) do
    for _, status in ipairs(bound.statuses) do
      local key = finished_key(type, status)
      count = count + redis.call('ZCARD', key)
      local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
      if head[1] and tonumber(head[2]) < first then
        found, first = {type, status, head[1]}, tonumber(head[2])
      end
    end
  end
  return found, count
end

for _, bound in ipairs(rules.bounds) do
  while done < most do
    local job, count = oldest(bound)
    if count <= bound.most then break end
    remove(job[3], job[1], job[2])
  end
end
return done
