-- What has failed, indexed by the moment it did: by type and code, by fingerprint, by tag; and what is alike, counted.

local function failures_key(type, code) return P .. 'failures:' .. type .. ':' .. code end
local function alike_key(fingerprint) return P .. 'alike:' .. fingerprint end
local function tagged_key(tag) return P .. 'tagged:' .. tag end
local function error_key(fingerprint) return P .. 'error:' .. fingerprint end
local function errors_key(order, type) return P .. 'errors:' .. order .. ':' .. type end

local NO_TAGS = {}

-- The tags that a failed job is filed under. Its error has them, since its submission may be of megabytes; only what the
-- former version has left is looked for there.
local function tags_of(id, error)
  if error.tags then return error.tags end
  local spec = redis.call('HGET', job_key(id), 'spec')
  if not spec or not string.find(spec, '"tags":', 1, true) then return NO_TAGS end
  local is_read, said = pcall(cjson.decode, spec)
  return is_read and said.tags or NO_TAGS
end

-- Files a failure in the indexes; `failure` is the error as the record keeps it. Returns that, read.
local function index_failure(id, type, at, failure)
  local error = failure and failure ~= '' and cjson.decode(failure) or {code = 'error'}
  redis.call('SADD', P .. 'codes:' .. type, error.code)
  redis.call('ZADD', failures_key(type, error.code), at, id)
  for _, tag in ipairs(tags_of(id, error)) do redis.call('ZADD', tagged_key(tag), at, id) end
  if error.fingerprint then redis.call('ZADD', alike_key(error.fingerprint), at, id) end
  return error
end

-- Notes that a job has failed for good: files it, and counts it among those that are alike.
local function note_failure(id, type, now, failure)
  local error = index_failure(id, type, now, failure)
  if not error.fingerprint then return end
  local key = error_key(error.fingerprint)
  local count = redis.call('HINCRBY', key, 'count', 1)
  if count == 1 then redis.call('HSET', key, 'type', type, 'code', error.code, 'firstSeen', now) end
  redis.call('HSET', key, 'lastSeen', now, 'message', string.sub(error.message, 1, 1000))
  redis.call('ZADD', errors_key('lastSeen', type), now, error.fingerprint)
  redis.call('ZADD', errors_key('count', type), count, error.fingerprint)
  redis.call('ZREM', P .. 'errors:idle', error.fingerprint)
end

local function drop_error(fingerprint)
  local type = redis.call('HGET', error_key(fingerprint), 'type') or ''
  redis.call('ZREM', errors_key('lastSeen', type), fingerprint)
  redis.call('ZREM', errors_key('count', type), fingerprint)
  redis.call('ZREM', P .. 'errors:idle', fingerprint)
  redis.call('DEL', error_key(fingerprint))
end

-- Takes a failed job out of the indexes, before its error is forgotten. A group whose last job goes is dropped with it,
-- or, if `at` is given, kept from that moment on.
local function forget_failure(id, type, at)
  local failure = redis.call('HGET', job_key(id), 'error')
  local error = failure and cjson.decode(failure) or {code = 'error'}
  local key = failures_key(type, error.code)
  redis.call('ZREM', key, id)
  if redis.call('EXISTS', key) == 0 then redis.call('SREM', P .. 'codes:' .. type, error.code) end
  for _, tag in ipairs(tags_of(id, error)) do redis.call('ZREM', tagged_key(tag), id) end
  local fingerprint = error.fingerprint
  if not fingerprint then return end
  redis.call('ZREM', alike_key(fingerprint), id)
  if redis.call('EXISTS', alike_key(fingerprint)) == 1 then return end
  if at then
    redis.call('ZADD', P .. 'errors:idle', at, fingerprint)
  else
    drop_error(fingerprint)
  end
end

-- Adds to `found` what a sorted set holds below a place (score '' = from its top), highest first, as {score, member}.
local function take_below(found, key, bounds, most, score, member)
  local top, offset = score ~= '' and score or bounds[2], 0
  while most > 0 do
    local part = redis.call('ZREVRANGEBYSCORE', key, top, bounds[1], 'WITHSCORES', 'LIMIT', offset, most + 10)
    for at = 1, #part, 2 do
      local is_past = score ~= '' and tonumber(part[at + 1]) == tonumber(score) and part[at] >= member
      if not is_past then
        found[#found + 1] = {tonumber(part[at + 1]), part[at]}
        most = most - 1
      end
    end
    if #part < 2 * (most + 10) then return end
    offset = offset + #part / 2
  end
end

-- Returns the highest members of several sorted sets together, at most `most`, below a place; see take_below().
local function highest(keys, bounds, most, score, member)
  local found = {}
  for _, key in ipairs(keys) do take_below(found, key, bounds, most, score, member) end
  table.sort(found, function(a, b)
    if a[1] ~= b[1] then return a[1] > b[1] end
    return a[2] > b[2]
  end)
  for at = #found, most + 1, -1 do found[at] = nil end
  return found
end
