-- Ends an attempt: the job goes from running to where the ending says.
-- ARGV: id, fence, guard ('owner': this attempt's worker says so; 'lapsed': only if the lease has run out),
--       next status, event, result (JSON or ''), error (JSON or ''), message for people, delay in ms, reason,
--       Celery message (for queued), costs ('attempt', 'retry' or 'nothing': 'retry' uses up one of the retries,
--       'nothing' gives the attempt back), outputs made visible (JSON list of objects with a `uri`, or ''; those of
--       earlier attempts stay listed), what the attempt found (JSON or ''), its last stage ('' = as told before), number
--       of log lines, the lines, number of words about the next claim (0, or 5: worker, node, slots, lease in ms,
--       claim; then the queue's next job is claimed too), those words, then a callback job as for create().
-- Returns {'ok'}, {'ok', grant as in claim.lua}, or {'lost'} if the job is not this attempt's any more: then nothing
-- is changed. A call repeated after a lost answer gets {'lost', the same grant}.
local id, fence, guard, next_status, event = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local result, failure, text, delay, reason = ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9]), ARGV[10]
local message, costs, outputs, found = ARGV[11], ARGV[12], ARGV[13], ARGV[14]
local stage, count = ARGV[15], tonumber(ARGV[16])
local words = tonumber(ARGV[17 + count])
local key = job_key(id)
local record = redis.call('HMGET', key, 'status', 'fence', 'type', 'queue', 'priority', 'node', 'progress', 'stage',
  'retries', 'attempts', 'next', 'outputs', 'series', 'unique', 'expiresAt', 'deadline', 'startedAt',
  'group', 'children', 'limits')
local type, queue, priority = record[3], record[4], record[5]
local now = now_ms()

local at = 18 + count
local claimant = words > 0 and {ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), ARGV[at + 4]}

-- The attempt was made, whatever has become of the job meanwhile.
if found ~= '' and record[2] == fence and guard == 'owner' then note_attempt(id, record[17], found) end
if record[1] ~= 'running' or record[2] ~= fence then
  local next_id = claimant and record[2] == fence and record[11]
  if next_id and redis.call('HGET', job_key(next_id), 'claim') == claimant[5] then
    return {'lost', claim_job(next_id, claimant, '')}
  end
  return {'lost'}
end
if guard == 'lapsed' and tonumber(redis.call('ZSCORE', P .. 'leases', id) or now) >= now then return {'lost'} end
if found ~= '' and guard == 'lapsed' then note_attempt(id, record[17], found) end

unclaim(id, record[6])
append_logs(id, {unpack(ARGV, 17, 16 + count)})
move(id, type, 'running', next_status, record[18])
local progress = next_status == 'completed' and '100' or record[7]
-- Told before what follows from it, such as that the next job of its limit or a child of it begins.
emit(event, id, type, next_status, {'progress', progress, 'stage', stage ~= '' and stage or record[8] or '',
  'message', text, 'result', result, 'error', failure})
if record[20] then give_back(id, record[20], now) end
if record[13] then release_series(record[13], id, fence) end

-- Lists what either list has, by uri, older first.
local function union(older, newer)
  local listed, at_uri = {}, {}
  for _, list in ipairs({cjson.decode(older), cjson.decode(newer)}) do
    for _, output in ipairs(list) do
      at_uri[output.uri] = at_uri[output.uri] or #listed + 1
      listed[at_uri[output.uri]] = output
    end
  end
  return cjson.encode(listed)
end

local fields = {'status', next_status, 'progress', progress, 'message', text}
local function set(name, value)
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
if stage ~= '' then set('stage', stage) end
if costs == 'retry' then set('retries', (record[9] or 0) + 1) end
if costs == 'nothing' then set('attempts', record[10] - 1) end
if result ~= '' then set('result', result) end
if failure ~= '' then set('error', failure) end
if outputs ~= '' then set('outputs', record[12] and union(record[12], outputs) or outputs) end
if FINAL[next_status] then
  set('finishedAt', now)
  if next_status == 'failed' then note_failure(id, type, now, failure) end
  -- What only a running job needs; a million of finished ones would hold it.
  redis.call('HDEL', key, 'claim', 'node', next_status == 'completed' and 'sequence' or 'claim')
  conclude(id, type, next_status, now, {record[13], record[14], record[15], record[16], record[18], record[19]})
elseif next_status == 'scheduled' then
  set('reason', reason)
  set('dueAt', now + delay)
  redis.call('ZADD', P .. 'scheduled', now + delay, id)
end
local grant = claimant and claim_next(queue, claimant)
if grant then set('next', grant[2]) end
redis.call('HSET', key, unpack(fields))
if next_status == 'queued' then
  if record[20] then keep_turn(id, record[20]) end
  push(id, queue, priority, message, true)
end
if #ARGV >= at + words then create(ARGV, at + words) end
return {'ok', grant}
