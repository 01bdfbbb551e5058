-- Reads the limits: those that are set or configured, and those that jobs wait for.
-- ARGV: most of the latter.
-- Returns for each {name, limit as configured (JSON, '' = not), as set at run time (JSON, '' = not), jobs that hold it, jobs
-- that wait for it}.
local names, answer = {}, {}
local function add(name)
  if names[name] then return end
  names[name] = true
  redis.call('ZREMRANGEBYSCORE', holding_key(name), '-inf', now_ms())
  answer[#answer + 1] = {name, redis.call('HGET', P .. 'limits:configured', name) or '',
    redis.call('HGET', P .. 'limits', name) or '', redis.call('ZCARD', holding_key(name)),
    redis.call('ZCARD', parked_key(name))}
end
for _, name in ipairs(redis.call('HKEYS', P .. 'limits:configured')) do add(name) end
for _, name in ipairs(redis.call('HKEYS', P .. 'limits')) do add(name) end
for _, name in ipairs(redis.call('ZRANGE', P .. 'offers', 0, ARGV[1] - 1)) do add(name) end
return answer
