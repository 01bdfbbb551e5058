-- Whether jobs are taken in.

-- Returns why a submission is refused, as {'refused', reason, queue, number}, or nil: 'draining', 'memory', or 'depth' (the
-- queue holds `number` jobs that have not begun, and with these it would be more than it may).
-- `most`: jobs of a queue that may wait, 0 = any number;  `queues`: `QUEUE=TYPE,TYPE;...`, the types of each queue in
-- `args`, which are seven words a job from position `first` on, as for create().
local function refusal(most, queues, args, first)
  local fields, names = {'full'}, {}
  for queue in string.gmatch(queues, '([^=;]+)=') do
    fields[#fields + 1] = 'draining:' .. queue
    names[#names + 1] = queue
  end
  local rules = redis.call('HMGET', RULES, unpack(fields))
  if rules[1] and tonumber(rules[1]) > now_ms() then return {'refused', 'memory', '', 0} end
  for at, queue in ipairs(names) do
    if rules[at + 1] then return {'refused', 'draining', queue, 0} end
  end
  if most == 0 then return end
  local new = {}
  for at = first, #args, 7 do new[args[at + 2]] = (new[args[at + 2]] or 0) + 1 end
  for queue, types in string.gmatch(queues, '([^=;]+)=([^;]+)') do
    local number = 0
    for type in string.gmatch(types, '[^,]+') do
      for _, status in ipairs({'queued', 'waiting', 'scheduled'}) do
        number = number + redis.call('ZCARD', index_key(type, status))
      end
    end
    if number + (new[queue] or 0) > most then return {'refused', 'depth', queue, number} end
  end
end
