-- Cancels a job in any state that is not final.
-- ARGV: id, message for people, whom ('any', or 'idle' to leave a running one alone), then a callback job as for
--       create().
-- Returns {'ok', previous status}, {'final', status}, {'spared', status} or {'unknown'}.
local status = end_job(ARGV[1], 'cancelled', 'job:cancelled', ARGV[2], '', ARGV[3] == 'idle')
if not status then return {'unknown'} end
if FINAL[status] then return {'final', status} end
if status == 'running' and ARGV[3] == 'idle' then return {'spared', status} end
if #ARGV > 3 then create(ARGV, 4) end
return {'ok', status}
