-- Ends a retry of many jobs; those that it has retried go on.
-- ARGV: id.
-- Returns its status before, or '' if there is none.
local status = redis.call('HGET', retry_key(ARGV[1]), 'status')
if status and redis.call('ZSCORE', P .. 'retrying', ARGV[1]) then end_retry(ARGV[1], 'aborted', 'aborted on request') end
return status or ''
