-- Turns: within a queue and priority, a lane, API keys take turns, so that many jobs of one do not delay those of others.
--
-- As long as all jobs of a lane are of one key, its list holds their messages and nothing is different. When a second key
-- comes, the list becomes the first key's backlog, whatever its length, and the lane is shared: then at most WINDOW jobs of
-- each key stand in the list, and when one leaves, its key's next one comes to the back. `behind:QUEUE:N:KEY` is to a
-- backlog what `queued:QUEUE:N` is to the list: what it should hold, by number. A queued job is in one of the two.

local WINDOW = @WINDOW@
local SHARED = '*'
local STALE_AT_ONCE = 50
local LOST_AT_ONCE = 20

local function lane_field(queue, priority) return 'lane:' .. queue .. ':' .. priority end
local function standing_key(queue, priority) return P .. 'standing:' .. queue .. ':' .. priority end
local function backlog_key(queue, priority, by) return P .. 'backlog:' .. queue .. ':' .. priority .. ':' .. by end
local function behind_key(queue, priority, by) return P .. 'behind:' .. queue .. ':' .. priority .. ':' .. by end

-- The id of a message's job; parsing all of it would take much longer.
local function id_of(message) return string.match(message, '"id": ?"([^"]+)"') or '' end

-- Puts a message at the back of a list with a new number; returns the number.
local function line_up(id, queue, priority, message)
  local number = redis.call('INCR', P .. 'sequence')
  redis.call('HSET', job_key(id), 'sequence', number)
  redis.call('LPUSH', list_key(queue, priority), message)
  return number
end

-- Lets jobs of a backlog that have numbers up to `last` stand without a message: theirs were popped or lost before they
-- came to the backlog, and where they stand now the watermark rule looks for them. Returns how many.
local function pass_lost(queue, priority, by, last)
  local behind = behind_key(queue, priority, by)
  local lost = redis.call('ZRANGEBYSCORE', behind, '-inf', last, 'WITHSCORES', 'LIMIT', 0, LOST_AT_ONCE)
  for at = 1, #lost, 2 do
    redis.call('ZREM', behind, lost[at])
    redis.call('ZADD', queued_key(queue, priority), lost[at + 1], lost[at])
  end
  return #lost / 2
end

-- Brings the next job of a key's backlog to the back of the list. Messages of jobs that left the backlog are dropped.
-- Returns how many jobs stand there for that, or nil if there is none, or none yet: then the scheduler goes on.
local function bring_next(queue, priority, by)
  local behind = behind_key(queue, priority, by)
  for _ = 1, STALE_AT_ONCE do
    local message = redis.call('RPOP', backlog_key(queue, priority, by))
    if not message then
      local passed = pass_lost(queue, priority, by, '+inf')
      return passed > 0 and passed or nil
    end
    local id = id_of(message)
    local number = redis.call('ZSCORE', behind, id)
    if number then
      redis.call('ZREM', behind, id)
      redis.call('ZADD', queued_key(queue, priority), line_up(id, queue, priority, message), id)
      return 1 + pass_lost(queue, priority, by, '(' .. number)
    end
  end
  redis.call('SADD', P .. 'refills', cjson.encode({queue, priority, by}))
end

-- Has as many jobs of a key stand in a shared lane's list as may; returns how many do.
local function refill(queue, priority, by)
  local standing = standing_key(queue, priority)
  local count = tonumber(redis.call('HGET', standing, by) or 0)
  while count < WINDOW do
    local added = bring_next(queue, priority, by)
    if not added then break end
    count = count + added
  end
  if count > 0 or redis.call('EXISTS', behind_key(queue, priority, by)) == 1 then
    redis.call('HSET', standing, by, count)
  else
    redis.call('HDEL', standing, by)
    redis.call('DEL', backlog_key(queue, priority, by))
  end
  return count
end

-- Makes a shared lane plain if only one key is left and has no backlog.
local function unshare(queue, priority)
  local standing = standing_key(queue, priority)
  if redis.call('HLEN', standing) > 1 then return end
  local by = redis.call('HKEYS', standing)[1] or DEFAULT_KEY
  if redis.call('EXISTS', behind_key(queue, priority, by)) == 1 then return end
  redis.call('DEL', standing, backlog_key(queue, priority, by))
  redis.call('HSET', RULES, lane_field(queue, priority), by)
end

-- Has a key's next jobs take their turn.
local function advance(queue, priority, by)
  if refill(queue, priority, by) < WINDOW then unshare(queue, priority) end
end

-- Makes a plain lane, of a key that has jobs queued there, a shared one.
local function share(queue, priority, owner)
  local list = list_key(queue, priority)
  if redis.call('EXISTS', list) == 1 then redis.call('RENAME', list, backlog_key(queue, priority, owner)) end
  redis.call('RENAME', queued_key(queue, priority), behind_key(queue, priority, owner))
  redis.call('HSET', RULES, lane_field(queue, priority), SHARED)
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
  local standing, behind = standing_key(queue, priority), behind_key(queue, priority, by)
  local count = tonumber(redis.call('HGET', standing, by) or 0)
  if count >= WINDOW or redis.call('EXISTS', behind) == 1 then
    local number = redis.call('INCR', P .. 'sequence')
    redis.call('HSET', job_key(id), 'sequence', number)
    redis.call('LPUSH', backlog_key(queue, priority, by), message)
    redis.call('ZADD', behind, number, id)
  else
    redis.call('ZADD', queued_key(queue, priority), line_up(id, queue, priority, message), id)
    redis.call('HINCRBY', standing, by, 1)
  end
end

-- Takes a job that is not queued any more out of what its lane's list, or its key's backlog, should hold. `lane` is the
-- lane's rule, or nil for it to be looked up.
local function leave_lane(id, queue, priority, by, lane)
  local stood = redis.call('ZREM', queued_key(queue, priority), id) == 1
  if stood and lane == false then return end
  if lane == nil then lane = redis.call('HGET', RULES, lane_field(queue, priority)) end
  if lane ~= SHARED then return end
  if stood then
    redis.call('HINCRBY', standing_key(queue, priority), by, -1)
    advance(queue, priority, by)
  else
    redis.call('ZREM', behind_key(queue, priority, by), id)
  end
end
