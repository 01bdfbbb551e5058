-- What all scripts share. The parts `_*.lua` are put before all scripts, in the order that library.py names.
-- Keys are described in ../keys.py.
-- The scripts name their keys themselves: the store is one Redis, not a cluster.
local P = '@PREFIX@'
local EVENTS_KEPT = @EVENTS_KEPT@
local LOG_LINES = @LOG_LINES@
local SCHEMA_VERSION = @SCHEMA_VERSION@
local TRIMMED_EVERY = 100
local NOTHING = {}

local FINAL = {completed = true, failed = true, cancelled = true}

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function job_key(id) return P .. 'job:' .. id end
local function index_key(type, status) return P .. 'index:' .. type .. ':' .. status end
local function finished_key(type, status) return P .. 'finished:' .. type .. ':' .. status end
local function series_key(series) return P .. 'series:' .. series end
local function holder_key(series) return P .. 'holder:' .. series end
local function unique_key(type, unique) return P .. 'unique:' .. type .. ':' .. unique end
local function group_key(group) return P .. 'group:' .. group end
local function member_key(group, status) return P .. 'members:' .. group .. ':' .. status end
local function schedule_key(name) return P .. 'schedule:' .. name end
local function queued_key(queue, priority) return P .. 'queued:' .. queue .. ':' .. priority end

-- kombu's name for the list of a queue at a priority; 0 has the bare name.
local function list_key(queue, priority)
  if tonumber(priority) == 0 then return P .. queue end
  return P .. queue .. '\6\22' .. priority
end

local untrimmed = 0 -- events since this library last trimmed the stream: each word of a call costs about a microsecond

-- Appends an event; `more` holds further field-value pairs.
local function emit(event, id, type, status, more)
  redis.call('XADD', P .. 'events', '*', 'event', event, 'job', id, 'type', type, 'status', status,
    unpack(more or NOTHING))
  untrimmed = untrimmed + 1
  if untrimmed < TRIMMED_EVERY then return end
  redis.call('XTRIM', P .. 'events', 'MAXLEN', '~', EVENTS_KEPT)
  untrimmed = 0
end

-- Takes a job from one status to another in the indexes: that of its type and, if it has one, that of its group.
local function move(id, type, from, to, group)
  redis.call('ZREM', index_key(type, from), id)
  redis.call('ZADD', index_key(type, to), 0, id)
  if group then
    redis.call('ZREM', member_key(group, from), id)
    redis.call('ZADD', member_key(group, to), redis.call('INCR', P .. 'sequence'), id)
  end
end

local function append_logs(id, lines)
  for _, line in ipairs(lines) do
    redis.call('XADD', P .. 'logs:' .. id, 'MAXLEN', '~', LOG_LINES, '*', 'text', line)
  end
end
