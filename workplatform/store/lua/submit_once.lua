-- Creates jobs unless a request with the same idempotency key has done so before.
-- ARGV: name of the key, fingerprint of the request, how long to remember it in ms, then words as for submit.lua.
-- Returns {'created', what create() does}, {'known', fingerprint of the first request, what create() returned then (JSON),
-- ids of its jobs (JSON)}, or what refusal() does; then the request is not remembered.
local key = P .. 'idempotency:' .. ARGV[1]
local known = redis.call('HMGET', key, 'fingerprint', 'answer', 'ids')
if known[1] then return {'known', known[1], known[2], known[3]} end
local refused = refusal(tonumber(ARGV[4]), ARGV[5], ARGV, 6)
if refused then return refused end
local answer, ids = create(ARGV, 6), {}
for at = 6, #ARGV, 7 do ids[#ids + 1] = ARGV[at] end
redis.call('HSET', key, 'fingerprint', ARGV[2], 'answer', cjson.encode(answer), 'ids', cjson.encode(ids))
redis.call('PEXPIRE', key, ARGV[3])
return {'created', answer}
