-- Renews the leases of a worker's running jobs and carries their progress and log lines out.
-- ARGV: lease in ms, then for each job: id, fence, changed (0 or 1), progress, stage, message, number of log lines,
--       the lines.
-- Returns for each job 'ok', 'cancelled' or 'lost' (another attempt or another ending has it).
local lease, at, verdicts = tonumber(ARGV[1]), 2, {}
local now = now_ms()
while at <= #ARGV do
  local id, fence, changed = ARGV[at], ARGV[at + 1], ARGV[at + 2] == '1'
  local progress, stage, message, count = ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], tonumber(ARGV[at + 6])
  local lines = {unpack(ARGV, at + 7, at + 6 + count)}
  at = at + 7 + count
  local record = redis.call('HMGET', job_key(id), 'status', 'fence', 'type', 'series', 'limits')
  local verdict = 'lost'
  if record[2] == fence then
    append_logs(id, lines)
    if record[1] == 'cancelled' then
      verdict = 'cancelled'
      if record[4] and holds(record[4], id, fence) then redis.call('PEXPIRE', holder_key(record[4]), lease) end
      if record[5] then linger(id, record[5], now + lease, now) end
    end
    if record[1] == 'running' then
      verdict = 'ok'
      redis.call('ZADD', P .. 'leases', now + lease, id)
      if changed then
        redis.call('HSET', job_key(id), 'progress', progress, 'stage', stage, 'message', message)
        emit('job:progress', id, record[3], 'running', {'progress', progress, 'stage', stage, 'message', message})
      end
      if count > 0 then emit('job:log', id, record[3], 'running', {'lines', table.concat(lines, '\n')}) end
    end
  end
  verdicts[#verdicts + 1] = verdict
end
return verdicts
