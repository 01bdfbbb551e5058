-- Limits over the whole fleet: how many jobs of a type, an API key or a caller's concurrencyKey run at a time, and how
-- many of a type or an API key begin in a span of time. A limit is named `type:TYPE`, `key:KEY` or `concurrency:KEY:WORD`.
--
-- A job takes its part of all its limits when it is claimed, or of none: then it is parked at the first that has no room.
-- What makes room (a job that ends, a limit that is raised, time) offers it to the next parked job: that one is woken, first
-- in line, and claimed like any other. The record's field `turn` names the limit that a job is parked at or was woken by.

local WOKEN_MS = 5000
local LOOK_MS = 30000
local WOKEN_AT_ONCE = 20
local LOOKED_AT_ONCE = 100
local ROUNDS = 2 ^ 48
local ADOPTED_AT_MOST = 1000

local function holding_key(name) return P .. 'holding:' .. name end
local function parked_key(name) return P .. 'parked:' .. name end
local function woken_key(name) return P .. 'woken:' .. name end
local function bucket_key(name) return P .. 'bucket:' .. name end
local function rounds_key(name) return P .. 'rounds:' .. name end

-- Reads a rule: `MOST INTERVAL TOLERANCE`, each a number or `-`: the most jobs at a time, the ms in which a token comes
-- back, and the ms that may be missing in the bucket (GCRA: a bucket of n tokens tolerates n - 1 intervals).
local function limit_of(name, rule)
  if not rule then return end
  local most, interval, tolerance = string.match(rule, '^(%S+) (%S+) (%S+)$')
  return {name = name, most = tonumber(most), interval = tonumber(interval), tolerance = tonumber(tolerance)}
end

-- Reads a record's field `concurrency`: `MOST WORD`.
local function concurrency_limit(by, concurrency)
  local most, word = string.match(concurrency, '^(%d+) (.*)$')
  return {name = 'concurrency:' .. by .. ':' .. word, most = tonumber(most)}
end

-- The limits of a job, given the rules of its type and its API key and its field `concurrency`, each false if there is none.
local function limits_of(type, by, of_type, of_key, concurrency)
  local limits = {}
  if of_type then limits[1] = limit_of('type:' .. type, of_type) end
  if of_key then limits[#limits + 1] = limit_of('key:' .. by, of_key) end
  if concurrency then limits[#limits + 1] = concurrency_limit(by, concurrency) end
  return limits
end

-- The limit of that name as it is for the next job that is parked at it; nil if there is none any more.
local function limit_named(name)
  local by = string.match(name, '^concurrency:([^:]*):')
  if not by then return limit_of(name, redis.call('HGET', RULES, name)) end
  local first = redis.call('ZRANGE', parked_key(name), 0, 0)[1]
  local concurrency = first and redis.call('HGET', job_key(first), 'concurrency')
  return concurrency and concurrency_limit(by, concurrency)
end

-- Returns how many more may run, how many more may begin now, and the moment at which the bucket was or will be full.
local function room_in(limit, now)
  local places, tokens, full = math.huge, math.huge, nil
  if limit.most then
    redis.call('ZREMRANGEBYSCORE', holding_key(limit.name), '-inf', now)
    places = limit.most - redis.call('ZCARD', holding_key(limit.name))
  end
  if limit.interval then
    full = math.max(tonumber(redis.call('GET', bucket_key(limit.name)) or now), now)
    tokens = math.floor((now + limit.tolerance - full) / limit.interval + 1e-6) + 1
  end
  return places, tokens, full
end

-- Returns the first limit that keeps a job from beginning, and the reason to tell. Where others are parked, only a job
-- that was woken may pass them.
local function lacking(limits, was_woken, now)
  for _, limit in ipairs(limits) do
    local places, tokens = room_in(limit, now)
    if places < 1 then return limit, 'concurrency_limit' end
    if tokens < 1 then return limit, 'rate_limit' end
    if not was_woken and redis.call('EXISTS', parked_key(limit.name)) == 1 then
      return limit, limit.most and 'concurrency_limit' or 'rate_limit'
    end
  end
end

-- The next moment at which something that no script tells may make room: a token comes, a job that was woken was not
-- claimed, a job that was cancelled has not been given up by its worker. `expected` jobs may begin before.
local function next_look(limit, expected, now)
  local look = now + LOOK_MS
  local places, tokens, full = room_in(limit, now)
  if limit.interval and tokens <= expected and places > expected then
    look = math.min(look, math.ceil(full - limit.tolerance + expected * limit.interval))
  end
  for _, key in ipairs({woken_key(limit.name), holding_key(limit.name)}) do
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[2] then look = math.min(look, tonumber(first[2]) + 1) end
  end
  return look
end

-- The place of a job among those parked at a limit: by priority, then in rounds, in each of which every API key has one.
-- One that was woken in vain is among the next.
local function place_at(name, priority, by, was_woken)
  local rounds = redis.call('HMGET', rounds_key(name), priority, priority .. ' ' .. by)
  local current, last = tonumber(rounds[1] or 0), tonumber(rounds[2] or 0)
  if was_woken then return priority * ROUNDS + current end
  local round = math.max(current, last) + 1
  redis.call('HSET', rounds_key(name), priority .. ' ' .. by, round)
  return priority * ROUNDS + round
end

-- Returns the first other limit that keeps a job which is parked at one from beginning, the reason to tell, and its key.
local function other_obstacle(id, name, now)
  local record = redis.call('HMGET', job_key(id), 'type', 'by', 'concurrency', 'about')
  local type, by = record[1], record[2] or DEFAULT_KEY
  local rules = redis.call('HMGET', RULES, 'type:' .. type, 'key:' .. by)
  local others = {}
  for _, limit in ipairs(limits_of(type, by, rules[1], not record[4] and rules[2], record[3])) do
    if limit.name ~= name then others[#others + 1] = limit end
  end
  local limit, reason = lacking(others, true, now)
  return limit, reason, by
end

-- Has a job wait for another limit, which has no room for it either.
local function pass_on(id, limit, reason, priority, by, now)
  redis.call('ZADD', parked_key(limit.name), place_at(limit.name, priority, by, false), id)
  redis.call('HSET', job_key(id), 'reason', reason, 'turn', limit.name)
  redis.call('ZADD', P .. 'offers', next_look(limit, redis.call('ZCARD', woken_key(limit.name)), now), limit.name)
end

-- Wakes the next jobs that are parked at a limit, as far as no other limit keeps them from beginning; those are parked
-- there, so that no worker has to find out. The last one is woken first, as each goes to the front. Returns how many.
local function wake_parked(name, count, now)
  local chosen, looked_at = {}, 0
  while #chosen < count and looked_at < LOOKED_AT_ONCE do
    local next = redis.call('ZPOPMIN', parked_key(name), count - #chosen)
    if #next == 0 then break end
    for at = 1, #next, 2 do
      local priority, round = math.floor(next[at + 1] / ROUNDS), next[at + 1] % ROUNDS
      redis.call('HSET', rounds_key(name), priority,
        math.max(round, tonumber(redis.call('HGET', rounds_key(name), priority) or 0)))
      local limit, reason, by = other_obstacle(next[at], name, now)
      if limit then pass_on(next[at], limit, reason, priority, by, now) else chosen[#chosen + 1] = next[at] end
      looked_at = looked_at + 1
    end
  end
  for at = #chosen, 1, -1 do
    redis.call('ZADD', woken_key(name), now + WOKEN_MS, chosen[at])
    wake(chosen[at], nil, true)
  end
  return #chosen
end

-- Offers what room a limit has to the jobs that are parked at it, and notes when to look again.
local function offer(name, now)
  local waiting = redis.call('ZCARD', parked_key(name))
  local look, count = now, 0
  if waiting > 0 then
    redis.call('ZREMRANGEBYSCORE', woken_key(name), '-inf', now)
    local limit, expected, free = limit_named(name), redis.call('ZCARD', woken_key(name)), waiting
    if limit then
      local places, tokens = room_in(limit, now)
      free = math.min(places, tokens) - expected
    end
    count = math.max(0, math.min(free, waiting, WOKEN_AT_ONCE))
    if count > 0 then count = wake_parked(name, count, now) end
    if limit and free <= count then look = next_look(limit, expected + count, now) end
  end
  if redis.call('EXISTS', parked_key(name)) == 1 then
    redis.call('ZADD', P .. 'offers', look, name)
  else
    redis.call('ZREM', P .. 'offers', name)
    redis.call('DEL', rounds_key(name))
  end
end

-- Parks a queued job at a limit; `job` is {type, priority, by, turn, group}.
local function park_at(id, name, reason, message, job)
  local now, turn = now_ms(), job[4]
  if turn then redis.call('ZREM', woken_key(turn), id) end
  redis.call('ZADD', parked_key(name), place_at(name, job[2], job[3], turn == name), id)
  redis.call('HSET', job_key(id), 'status', 'waiting', 'reason', reason, 'turn', name, 'wakeup', message)
  move(id, job[1], 'queued', 'waiting', job[5])
  emit('job:queued', id, job[1], 'waiting')
  if turn and turn ~= name then offer(turn, now) end
  offer(name, now)
end

-- Gives a job its part of its limits; returns what its record keeps of that, if there is anything to give back.
local function take_part(id, limits, now)
  local names = {}
  for _, limit in ipairs(limits) do
    if limit.most then
      redis.call('ZADD', holding_key(limit.name), '+inf', id)
      names[#names + 1] = limit.name
    end
    if limit.interval then
      local _, _, full = room_in(limit, now)
      redis.call('SET', bucket_key(limit.name), full + limit.interval, 'PX', math.ceil(full + limit.interval - now))
    end
  end
  return #names > 0 and cjson.encode(names)
end

-- Takes back a job's part of its limits; `limits` is its record's field.
local function give_back(id, limits, now)
  local freed = {}
  for _, name in ipairs(cjson.decode(limits)) do
    if redis.call('ZREM', holding_key(name), id) == 1 then freed[#freed + 1] = name end
  end
  for _, name in ipairs(freed) do offer(name, now) end
end

-- Has a job that goes back to the front of its lane taken for one that a limit has woken: it need not wait behind those
-- that are parked there. It holds no room meanwhile; `limits` is its record's field.
local function keep_turn(id, limits)
  redis.call('HSET', job_key(id), 'turn', cjson.decode(limits)[1])
end

-- Leaves a job its part of its limits until a moment: it was cancelled, and its worker is still ending it.
local function linger(id, limits, till, now)
  for _, name in ipairs(cjson.decode(limits)) do
    redis.call('ZADD', holding_key(name), 'XX', till, id)
    offer(name, now)
  end
end

-- Forgets that a job is parked at a limit or was woken by it.
local function lose_turn(id, turn, now)
  redis.call('ZREM', parked_key(turn), id)
  redis.call('ZREM', woken_key(turn), id)
  offer(turn, now)
end

-- Counts the jobs that run already for a limit that is new.
local function adopt(name)
  local kind, word = string.match(name, '^(%a+):(.*)$')
  for _, type in ipairs(kind == 'type' and {word} or redis.call('SMEMBERS', P .. 'types')) do
    for _, id in ipairs(redis.call('ZRANGE', index_key(type, 'running'), 0, ADOPTED_AT_MOST - 1)) do
      local record = redis.call('HMGET', job_key(id), 'by', 'limits', 'about')
      if kind == 'type' or ((record[1] or DEFAULT_KEY) == word and not record[3]) then
        local names = record[2] and cjson.decode(record[2]) or {}
        if redis.call('ZADD', holding_key(name), 'NX', '+inf', id) == 1 then names[#names + 1] = name end
        redis.call('HSET', job_key(id), 'limits', cjson.encode(names))
      end
    end
  end
end

-- Makes what is set at run time, or else configured, the rule of a limit.
local function apply_limit(name)
  local limit = redis.call('HGET', P .. 'limits', name) or redis.call('HGET', P .. 'limits:configured', name)
  local rule, before = limit and cjson.decode(limit).rule, redis.call('HGET', RULES, name)
  if not rule or rule == '- - -' then
    redis.call('HDEL', RULES, name)
  else
    redis.call('HSET', RULES, name, rule)
    if rule ~= before and limit_of(name, rule).most then adopt(name) end
  end
  offer(name, now_ms())
end
