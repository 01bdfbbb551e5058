-- Lists failed jobs, the latest first; the cost depends on the page, and on how many types and codes there are.
-- ARGV: type, code, fingerprint, tag ('' = any), from and to (ms, '-inf' and '+inf' = any), most jobs, place to start
--       below (end in ms and id, '' = from the latest).
-- Returns {how many there are (-1 = nobody knows), end and id of the place where the next page starts ('' = this is
-- the last), id, {field, value, ...}, ...}. With a tag besides other filters a page may hold fewer jobs than it might,
-- because only EXAMINED tagged ones are looked at.
local EXAMINED = 1000
local type, code, fingerprint, tag = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local bounds, most, score, member = {ARGV[5], ARGV[6]}, tonumber(ARGV[7]), ARGV[8], ARGV[9]

local function is_wanted_error(of_type, of_code)
  return (type == '' or type == of_type) and (code == '' or code == of_code)
end

local function sources()
  if tag ~= '' then return {tagged_key(tag)} end
  if fingerprint ~= '' then
    local error = redis.call('HMGET', error_key(fingerprint), 'type', 'code')
    return error[1] and is_wanted_error(error[1], error[2]) and {alike_key(fingerprint)} or {}
  end
  local keys = {}
  for _, of_type in ipairs(type ~= '' and {type} or redis.call('SMEMBERS', P .. 'types')) do
    for _, of_code in ipairs(code ~= '' and {code} or redis.call('SMEMBERS', P .. 'codes:' .. of_type)) do
      keys[#keys + 1] = failures_key(of_type, of_code)
    end
  end
  return keys
end

local function is_wanted(id)
  if fingerprint ~= '' and not redis.call('ZSCORE', alike_key(fingerprint), id) then return false end
  local record = redis.call('HMGET', job_key(id), 'type', 'error')
  return is_wanted_error(record[1], record[2] and cjson.decode(record[2]).code or 'error')
end

local keys = sources()
local is_sifted = tag ~= '' and (type ~= '' or code ~= '' or fingerprint ~= '')
local total = is_sifted and -1 or 0
if not is_sifted then
  for _, key in ipairs(keys) do total = total + redis.call('ZCOUNT', key, bounds[1], bounds[2]) end
end

local found = highest(keys, bounds, is_sifted and EXAMINED or most + 1, score, member)
local answer, taken, place = {total, '', ''}, 0, nil
for at, entry in ipairs(found) do
  if taken == most then break end
  place = at
  if not is_sifted or is_wanted(entry[2]) then
    taken = taken + 1
    answer[#answer + 1] = entry[2]
    answer[#answer + 1] = redis.call('HGETALL', job_key(entry[2]))
  end
end
if place and (place < #found or (is_sifted and #found == EXAMINED)) then
  answer[2], answer[3] = string.format('%.0f', found[place][1]), found[place][2]
end
return answer
