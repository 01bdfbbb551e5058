-- What claims and submissions have to mind, in one hash, so that minding all of it takes one call. Its fields:
--   paused:QUEUE, draining:QUEUE: 1;  lane:QUEUE:N: see _turns.lua;  type:NAME, key:NAME: a limit, see _limits.lua;
--   full: until when (ms) submissions are refused because memory runs short;  disk: see reach_disk.lua.

local RULES = P .. 'rules'

-- The API key of jobs that name none.
local DEFAULT_KEY = 'default'

local function is_paused(queue) return redis.call('HEXISTS', RULES, 'paused:' .. queue) == 1 end
local function is_draining(queue) return redis.call('HEXISTS', RULES, 'draining:' .. queue) == 1 end

-- Returns {`QUEUE/WORKER` words of live workers, paused queues, draining queues}.
local function queue_states()
  local paused, draining = {}, {}
  for _, field in ipairs(redis.call('HKEYS', RULES)) do
    local kind, queue = string.match(field, '^(%a+):(.*)$')
    if kind == 'paused' then paused[#paused + 1] = queue end
    if kind == 'draining' then draining[#draining + 1] = queue end
  end
  return {redis.call('ZRANGEBYSCORE', P .. 'serving', now_ms(), '+inf'), paused, draining}
end
