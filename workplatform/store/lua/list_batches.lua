-- Lists batches, newest first; the cost depends on the page alone.
-- ARGV: most batches, number to start below ('' = from the newest).
-- Returns {number, id, what group_state() returns, ...}.
local answer = {}
local from = ARGV[2] == '' and '+inf' or '(' .. ARGV[2]
local found = redis.call('ZREVRANGEBYSCORE', P .. 'batches', from, '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[1])
for at = 1, #found, 2 do
  answer[#answer + 1] = found[at + 1]
  answer[#answer + 1] = found[at]
  answer[#answer + 1] = group_state('batch:' .. found[at])
end
return answer
