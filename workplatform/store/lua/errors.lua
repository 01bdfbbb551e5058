-- Lists groups of failures that are alike.
-- ARGV: type ('' = all), order ('lastSeen' or 'count', highest first), most, place to start below (score and
--       fingerprint, '' = from the top), fingerprint ('' = a page; else that group alone).
-- Returns {score and fingerprint of the place where the next page starts ('' = this is the last), then for each group
-- fingerprint, number of its jobs that are failed now, ids of the latest of these, {field, value, ...}}.
local type, order, most, score, member, only = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local SAMPLES = 5
local found = {}
if only ~= '' then
  if redis.call('EXISTS', error_key(only)) == 1 then found[1] = {0, only} end
else
  local keys = {}
  for _, of_type in ipairs(type ~= '' and {type} or redis.call('SMEMBERS', P .. 'types')) do
    keys[#keys + 1] = errors_key(order, of_type)
  end
  found = highest(keys, {'-inf', '+inf'}, most + 1, score, member)
end
local answer = {'', ''}
for at = 1, math.min(most, #found) do
  local fingerprint = found[at][2]
  answer[#answer + 1] = fingerprint
  answer[#answer + 1] = redis.call('ZCARD', alike_key(fingerprint))
  answer[#answer + 1] = redis.call('ZREVRANGE', alike_key(fingerprint), 0, SAMPLES - 1)
  answer[#answer + 1] = redis.call('HGETALL', error_key(fingerprint))
end
if #found > most then answer[1], answer[2] = string.format('%.0f', found[most][1]), found[most][2] end
return answer
