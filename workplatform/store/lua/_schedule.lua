-- When schedules fire.

local FIRES_KEPT = 50

-- Notes when a schedule fires next ('' = not any more, or not while it is paused).
local function set_next_fire(name, next)
  if next == '' then
    redis.call('HDEL', schedule_key(name), 'nextAt')
  else
    redis.call('HSET', schedule_key(name), 'nextAt', next)
  end
  redis.call('ZADD', P .. 'schedules', next == '' and '+inf' or next, name)
end
