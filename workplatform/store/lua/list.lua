-- Lists jobs, newest first, with counts; the cost depends on the number of types and the page, not on the jobs.
-- ARGV: type ('' = all), status ('' = all), most jobs, id to start below ('' = from the newest).
-- Returns {flat counts: type, status, number, ...; records: id, {field, value, ...}, ...; how the queues stand, as
-- queues.lua has it}.
local wanted_type, wanted_status, most, below = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local statuses = {'waiting', 'scheduled', 'queued', 'running', 'completed', 'failed', 'cancelled'}
local counts, ids = {}, {}
local from = below == '' and '+' or '(' .. below
for _, type in ipairs(redis.call('SMEMBERS', P .. 'types')) do
  for _, status in ipairs(statuses) do
    local key = index_key(type, status)
    local number = redis.call('ZCARD', key)
    if number > 0 then
      counts[#counts + 1] = type
      counts[#counts + 1] = status
      counts[#counts + 1] = number
      if most > 0 and (wanted_type == '' or wanted_type == type)
        and (wanted_status == '' or wanted_status == status) then
        for _, id in ipairs(redis.call('ZREVRANGEBYLEX', key, from, '-', 'LIMIT', 0, most)) do ids[#ids + 1] = id end
      end
    end
  end
end
table.sort(ids, function(a, b) return a > b end)
local records = {}
for at = 1, math.min(most, #ids) do
  records[#records + 1] = ids[at]
  records[#records + 1] = redis.call('HGETALL', job_key(ids[at]))
end
return {counts, records, queue_states()}
