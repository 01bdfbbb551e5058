-- Lists flows, newest first; the cost depends on the page alone.
-- ARGV: most flows, id to start below ('' = from the newest).
-- Returns {id, what group_state() returns, ...}.
local answer = {}
local from = ARGV[2] == '' and '+' or '(' .. ARGV[2]
for _, flow in ipairs(redis.call('ZREVRANGEBYLEX', P .. 'flows', from, '-', 'LIMIT', 0, ARGV[1])) do
  answer[#answer + 1] = flow
  answer[#answer + 1] = group_state('flow:' .. flow)
end
return answer
