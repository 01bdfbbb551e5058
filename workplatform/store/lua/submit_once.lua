-- Creates jobs unless a request with the same idempotency key has done so before.
-- ARGV: name of the key, fingerprint of the request, how long to remember it in ms, then seven words a job as for
--       create().
-- Returns {'created', what create() does} or {'known', fingerprint of the first request, what create() returned then
-- (JSON), ids of its jobs (JSON)}.
local key = P .. 'idempotency:' .. ARGV[1]
local known = redis.call('HMGET', key, 'fingerprint', 'answer', 'ids')
if known[1] then return {'known', known[1], known[2], known[3]} end
local answer, ids = create(ARGV, 4), {}
for at = 4, #ARGV, 7 do ids[#ids + 1] = ARGV[at] end
redis.call('HSET', key, 'fingerprint', ARGV[2], 'answer', cjson.encode(answer), 'ids', cjson.encode(ids))
redis.call('PEXPIRE', key, ARGV[3])
return {'created', answer}
