-- Retries of many jobs: an operation with a record of its own, which schedulers work off step by step.
-- canary -> proving -> running -> completed; stopped if a canary does not complete; aborted on request.

local RETRIES_KEPT_MS = 30 * 24 * 3600 * 1000

local function retry_key(name) return P .. 'retry:' .. name end

local function end_retry(name, status, reason)
  redis.call('HSET', retry_key(name), 'status', status, 'finishedAt', now_ms(), 'reason', reason)
  redis.call('PEXPIRE', retry_key(name), RETRIES_KEPT_MS)
  redis.call('ZREM', P .. 'retrying', name)
end
