-- How jobs begin.

-- Whether another job that is not final holds a unique key; returns its id.
local function unique_holder(type, unique)
  local other = redis.call('GET', unique_key(type, unique))
  if other and not FINAL[redis.call('HGET', job_key(other), 'status') or 'failed'] then return other end
end

-- Notes when a job has to have begun (only until it has) or has to have ended, whichever comes first.
local function limit_time(id, expires, deadline)
  if not expires and not deadline then
    redis.call('ZREM', P .. 'limited', id)
  else
    redis.call('ZADD', P .. 'limited', math.min(expires or math.huge, deadline or math.huge), id)
  end
end

-- Writes what a job's terms ask for beside its first moment; `number` is its place in its series, false while it waits
-- for other jobs.
local function impose(id, type, number, terms, now)
  local expires = terms.ttl and now + terms.ttl or terms.expiresAt
  local deadline = terms.within and now + terms.within or terms.deadline
  if expires then redis.call('HSET', job_key(id), 'expiresAt', expires) end
  if deadline then redis.call('HSET', job_key(id), 'deadline', deadline) end
  if expires or deadline then limit_time(id, expires, deadline) end
  if terms.unique then
    redis.call('HSET', job_key(id), 'unique', terms.unique)
    redis.call('SET', unique_key(type, terms.unique), id)
  end
  if terms.series then
    redis.call('HSET', job_key(id), 'series', terms.series)
    if number then redis.call('ZADD', series_key(terms.series), number, id) end
  end
  if terms.group then redis.call('HSET', job_key(id), 'group', terms.group) end
  if terms.about then note_delivery(id, terms) end
  if terms.by then redis.call('HSET', job_key(id), 'by', terms.by) end
  if terms.concurrency then redis.call('HSET', job_key(id), 'concurrency', terms.concurrency) end
end

-- Writes the messages and numbers that were collected for a lane that is not shared.
local function flush(line, queue, priority)
  if not line.messages then return end
  redis.call('LPUSH', list_key(queue, priority), unpack(line.messages))
  redis.call('ZADD', queued_key(queue, priority), unpack(line.numbers))
  line.messages = nil
end

-- Queues a new job; `lines` collects what can be written in one call for each lane.
local function queue_up(lines, id, queue, priority, by, number, message)
  local name = queue .. ' ' .. priority
  local line = lines[name] or {queue = queue, priority = priority}
  lines[name] = line
  if line.by ~= by then
    flush(line, queue, priority)
    line.by, line.is_shared = by, is_shared_for(queue, priority, by)
  end
  if line.is_shared then return take_turn(id, queue, priority, by, message) end
  if not line.messages then line.messages, line.numbers = {}, {} end
  line.messages[#line.messages + 1] = message
  line.numbers[#line.numbers + 1] = number
  line.numbers[#line.numbers + 1] = id
end

-- Returns the function that writes a message, as create() is given it, for a job.
local function writer(message)
  local parts, at = {}, 1
  while true do
    local from, to = string.find(message, '@JOB_MARK@', at, true)
    parts[#parts + 1] = string.sub(message, at, (from or 0) - 1)
    if not from then break end
    at = to + 1
  end
  return function(id) return table.concat(parts, id) end
end

-- Creates jobs from `args`, seven words a job, from position `first` on:
-- id, type, queue, priority, spec (JSON), message ('' = that of the job before; @JOB_MARK@ stands for the id), terms ('' =
-- none, or a JSON object, moments and spans in ms):
--   delay or runAt: not before;  ttl or expiresAt: fails if not begun by then;  within or deadline: fails if not ended;
--   unique: not made while another active job of its type has the same word;  series: see below;
--   about, tells, whilst: see note_delivery();
--   by: name of the API key that submitted it (none = default);  concurrency: `MOST WORD`, see _limits.lua.
--   dependsOn: ids of the jobs that it waits for;  onParent ('skip' or 'continue', none = 'fail'): what it does if one of
--   these does not complete;  group: the flow or batch that it is of, with groupSpec and groupTells as for
--   describe_group().
-- One call per list and index, not per job: bulk submission lives on that.
-- Returns {moment, then id and a word for each job that is not simply queued or scheduled now: `?PARENT` if it was not
-- made, as that parent is not known; else `JOB STATUS CREATED`: the active job in its place, or `=` for itself}.
local function create(args, first)
  local now = now_ms()
  local count = math.floor((#args - first + 1) / 7)
  local number = redis.call('INCRBY', P .. 'sequence', count) - count
  local lines, indexes, types, groups, answer = {}, {}, {}, {}, {now}
  local write
  local function collect(key, score, id)
    local index = indexes[key] or {}
    indexes[key] = index
    index[#index + 1] = score
    index[#index + 1] = id
  end
  local function tell(id, word)
    answer[#answer + 1] = id
    answer[#answer + 1] = word
  end
  local function make(at, terms)
    local id, type, queue, priority = args[at], args[at + 1], args[at + 2], args[at + 3]
    local due = terms.delay and now + terms.delay or terms.runAt
    local status = due and due > now and 'scheduled' or 'queued'
    if terms.dependsOn and waits_for_parents(id, terms, write(id)) then status = 'waiting' end
    if status == 'waiting' then
      redis.call('HSET', job_key(id), 'type', type, 'queue', queue, 'priority', priority, 'spec', args[at + 4],
        'status', status, 'createdAt', now, 'schemaVersion', SCHEMA_VERSION)
      tell(id, '= ' .. status .. ' ' .. string.format('%d', now))
    elseif status == 'scheduled' then
      redis.call('HSET', job_key(id), 'type', type, 'queue', queue, 'priority', priority, 'spec', args[at + 4],
        'status', status, 'createdAt', now, 'schemaVersion', SCHEMA_VERSION, 'reason', 'delay', 'dueAt', due)
      redis.call('ZADD', P .. 'scheduled', due, id)
    else
      redis.call('HSET', job_key(id), 'type', type, 'queue', queue, 'priority', priority, 'spec', args[at + 4],
        'status', status, 'createdAt', now, 'schemaVersion', SCHEMA_VERSION, 'sequence', number)
      queue_up(lines, id, queue, priority, terms.by or DEFAULT_KEY, number, write(id))
    end
    if terms ~= NOTHING then impose(id, type, status ~= 'waiting' and number, terms, now) end
    collect(index_key(type, status), 0, id)
    if terms.group then collect(member_key(terms.group, status), number, id) end
    types[type] = true
    emit('job:queued', id, type, status)
  end
  for at = first, #args, 7 do
    if args[at + 5] ~= '' then write = writer(args[at + 5]) end
    local terms = args[at + 6] ~= '' and cjson.decode(args[at + 6]) or NOTHING
    local unknown = terms.dependsOn and unknown_parent(terms.dependsOn)
    local other = not unknown and terms.unique and unique_holder(args[at + 1], terms.unique)
    if terms.group and not groups[terms.group] then
      groups[terms.group] = 'made'
      make_group(terms.group, now)
    end
    if terms.groupSpec then describe_group(terms.group, terms.groupSpec, terms.groupTells) end
    number = number + 1
    if unknown then
      tell(args[at], '?' .. unknown)
    elseif other then
      tell(args[at], other .. ' ' .. table.concat(redis.call('HMGET', job_key(other), 'status', 'createdAt'), ' '))
    else
      if groups[terms.group] == 'made' then
        groups[terms.group] = 'open'
        open_group(terms.group)
      end
      make(at, terms)
    end
  end
  for key, members in pairs(indexes) do redis.call('ZADD', key, unpack(members)) end
  for _, line in pairs(lines) do flush(line, line.queue, line.priority) end
  for type in pairs(types) do redis.call('SADD', P .. 'types', type) end
  for group in pairs(groups) do end_group(group, now) end
  return answer
end
