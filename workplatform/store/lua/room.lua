-- Tells a worker that was refused a slot, or whose queue is paused, whether to ask again.
-- ARGV: node, queue, slots of the node.
-- Keeps the queue's place in line while it has messages. Returns 1 if the queue's next claim would get a slot, or if
-- it has nothing left to claim, else 0. A paused queue has no place in line.
local node, queue, slots = ARGV[1], ARGV[2], tonumber(ARGV[3])
local waiting = P .. 'slot-queue:' .. node
if is_paused(queue) then
  leave_line(waiting, queue)
  return 0
end
local has_messages = false
for priority = 0, 4 do
  has_messages = has_messages or redis.call('EXISTS', list_key(queue, priority)) == 1
end
if not has_messages then
  leave_line(waiting, queue)
  return 1
end
local now = now_ms()
tidy_line(waiting, now)
stand_in_line(waiting, queue, now)
local free = slots - redis.call('SCARD', P .. 'slots:' .. node)
local before = redis.call('ZCOUNT', waiting, '-inf', '(' .. redis.call('ZSCORE', waiting, queue))
return free > before and 1 or 0
