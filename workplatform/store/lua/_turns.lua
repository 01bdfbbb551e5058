-- Turns: within a queue and priority, a lane, API keys take turns, so that many jobs of one do not delay those of others.
--
-- As long as all jobs of a lane are of one key, its list holds their messages and nothing is different. When a second key
-- comes, the list becomes the first key's backlog, whatever its length, and the lane is shared: then at most WINDOW jobs of
-- each key stand in the list, and when one leaves, its key's next one comes to the back. Those in a backlog are queued
-- too, but not in `queued:QUEUE:N`, which tells what the list should hold.

local WINDOW = 4
local SHARED = '*'
local STALE_AT_ONCE = 50
local IN_FLIGHT = 100

local function lane_field(queue, priority) return 'lane:' .. queue .. ':' .. priority end
local function standing_key(queue, priority) return P .. 'standing:' .. queue .. ':' .. priority end
local function backlog_key(queue, priority, by) return P .. 'backlog:' .. queue .. ':' .. priority .. ':' .. by end

local function id_of(message) return cjson.decode(message).headers.id end

-- Puts a message at the back of a list with a new number; returns the number.
local function line_up(id, queue, priority, message)
  local number = redis.call('INCR', P .. 'sequence')
  redis.call('HSET', job_key(id), 'sequence', number)
  redis.call('LPUSH', list_key(queue, priority), message)
  return number
end

-- Brings the next job of a key's backlog to the back of the list. Messages of jobs that were cancelled meanwhile are
-- dropped. Returns 1 (or 0 if it stood there already), or nil if there is none, or none yet: then the scheduler goes on.
local function bring_next(queue, priority, by)
  local backlog = backlog_key(queue, priority, by)
  for _ = 1, STALE_AT_ONCE do
    local message = redis.call('RPOP', backlog)
    if not message then return end
    local id = id_of(message)
    if redis.call('HGET', job_key(id), 'status') == 'queued' then
      return redis.call('ZADD', queued_key(queue, priority), line_up(id, queue, priority, message), id)
    end
  end
  redis.call('SADD', P .. 'refills', cjson.encode({queue, priority, by}))
end

-- Has as many jobs of a key stand in a shared lane's list as may; returns how many do.
local function refill(queue, priority, by)
  local standing, backlog = standing_key(queue, priority), backlog_key(queue, priority, by)
  local count = tonumber(redis.call('HGET', standing, by) or 0)
  while count < WINDOW do
    local added = bring_next(queue, priority, by)
    if not added then break end
    count = count + added
  end
  if count > 0 or redis.call('EXISTS', backlog) == 1 then
    redis.call('HSET', standing, by, count)
  else
    redis.call('HDEL', standing, by)
  end
  return count
end

-- Makes a shared lane plain if only one key is left and has no backlog.
local function unshare(queue, priority)
  local standing = standing_key(queue, priority)
  if redis.call('HLEN', standing) > 1 then return end
  local by = redis.call('HKEYS', standing)[1] or DEFAULT_KEY
  if redis.call('EXISTS', backlog_key(queue, priority, by)) == 1 then return end
  redis.call('DEL', standing)
  redis.call('HSET', RULES, lane_field(queue, priority), by)
end

-- Has a key's next jobs take their turn.
local function advance(queue, priority, by)
  if refill(queue, priority, by) < WINDOW then unshare(queue, priority) end
end

-- The number of the next job in a list, or nil; messages of jobs that are not queued any more are dropped on the way.
local function next_number(list)
  for _ = 1, STALE_AT_ONCE do
    local message = redis.call('LINDEX', list, -1)
    if not message then return end
    local record = redis.call('HMGET', job_key(id_of(message)), 'status', 'sequence')
    if record[1] == 'queued' then return record[2] end
    redis.call('RPOP', list)
  end
  return '-inf'
end

-- Makes a plain lane of a key a shared one. What is queued and older than the list's next message has been popped and is
-- about to be claimed, or is lost; it stays where the watermark rule looks for it.
local function share(queue, priority, owner)
  local list, queued = list_key(queue, priority), queued_key(queue, priority)
  local number = next_number(list)
  if number then
    local all = queued .. ':all'
    redis.call('RENAME', list, backlog_key(queue, priority, owner))
    redis.call('RENAME', queued, all)
    redis.call('ZRANGESTORE', queued, all, '-inf', '(' .. number, 'BYSCORE', 'LIMIT', 0, IN_FLIGHT)
    redis.call('UNLINK', all)
  end
  redis.call('HSET', RULES, lane_field(queue, priority), SHARED)
  redis.call('HSET', standing_key(queue, priority), owner, redis.call('ZCARD', queued))
  refill(queue, priority, owner)
end

-- Readies a lane for a job of a key; returns whether the lane is shared.
local function is_shared_for(queue, priority, by)
  local owner = redis.call('HGET', RULES, lane_field(queue, priority)) or DEFAULT_KEY
  if owner == by then return false end
  if owner == SHARED then return true end
  if redis.call('EXISTS', queued_key(queue, priority)) == 1 then
    share(queue, priority, owner)
    return true
  end
  redis.call('HSET', RULES, lane_field(queue, priority), by)
  return false
end

-- Puts a queued job's message at the back of a shared lane, or of its key's backlog if enough of its jobs stand.
local function take_turn(id, queue, priority, by, message)
  local standing, backlog = standing_key(queue, priority), backlog_key(queue, priority, by)
  local count = tonumber(redis.call('HGET', standing, by) or 0)
  if count >= WINDOW or redis.call('EXISTS', backlog) == 1 then
    redis.call('HSET', job_key(id), 'sequence', redis.call('INCR', P .. 'sequence'))
    redis.call('LPUSH', backlog, message)
    return
  end
  redis.call('ZADD', queued_key(queue, priority), line_up(id, queue, priority, message), id)
  redis.call('HINCRBY', standing, by, 1)
end

-- Takes a job that is not queued any more out of what its lane's list should hold. `lane` is the lane's rule, or nil for
-- it to be looked up.
local function leave_lane(id, queue, priority, by, lane)
  if redis.call('ZREM', queued_key(queue, priority), id) == 0 then return end
  if lane == nil then lane = redis.call('HGET', RULES, lane_field(queue, priority)) end
  if lane ~= SHARED then return end
  redis.call('HINCRBY', standing_key(queue, priority), by, -1)
  advance(queue, priority, by)
end
