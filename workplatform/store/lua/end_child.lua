-- Ends a job whose parent has not completed.
-- ARGV: id, id of that parent, next status, event, message for people, error (JSON or ''), then callback jobs as for
--       create().
-- Returns 1, or 0 if somebody else did, or the parent has begun again.
local id = ARGV[1]
local record = redis.call('HMGET', job_key(id), 'status', 'doom')
if record[1] == 'waiting' and record[2] and record[2] ~= ARGV[2] then return 0 end
redis.call('ZREM', P .. 'doomed', id)
if record[1] ~= 'waiting' or not record[2] then return 0 end
end_job(id, ARGV[3], ARGV[4], ARGV[5], ARGV[6], false)
if #ARGV > 6 then create(ARGV, 7) end
return 1
