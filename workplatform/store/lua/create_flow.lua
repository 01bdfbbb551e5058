-- Creates a flow: all of its jobs, or none.
-- ARGV: id, name of an idempotency key ('' = none), fingerprint of the request, how long to remember it in ms, then words
--       as for submit.lua: its jobs, parents before children, the first one with the group's spec in its terms.
-- Returns {'created', moment}, {'held', id of the job that was not made, id of the active job with its unique key} or
-- {'known', fingerprint of the first request with the idempotency key, id of the flow that it made, its answer if
-- remember_answer.lua was told}, or what refusal() does.
local flow = ARGV[1]
local key = P .. 'idempotency:' .. ARGV[2]
local known = ARGV[2] ~= '' and redis.call('HMGET', key, 'fingerprint', 'flow', 'told') or {}
if known[1] then return {'known', known[1], known[2] or '', known[2] and known[3] or ''} end
local refused = refusal(tonumber(ARGV[5]), ARGV[6], ARGV, 7)
if refused then return refused end
for at = 7, #ARGV, 7 do
  local unique = ARGV[at + 6] ~= '' and cjson.decode(ARGV[at + 6]).unique
  local other = unique and unique_holder(ARGV[at + 1], unique)
  if other then return {'held', ARGV[at], other} end
end
local answer = create(ARGV, 7)
redis.call('ZADD', P .. 'flows', 0, flow)
if ARGV[2] ~= '' then
  redis.call('HSET', key, 'fingerprint', ARGV[3], 'flow', flow)
  redis.call('PEXPIRE', key, ARGV[4])
end
return {'created', answer[1]}
