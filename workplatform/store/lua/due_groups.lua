-- Does the part of the work with dependencies and groups that needs no Python, and lists the part that does.
-- ARGV: most of each kind.
-- Tells some of the jobs that wait for a parent of very many. Returns {how many such parents are left, ids of jobs that
-- have to end with their parent, groups whose end is to be told, groups that are being cancelled or retried}.
local most = tonumber(ARGV[1])
local parents = redis.call('ZRANGE', P .. 'releasing', 0, 9, 'WITHSCORES')
for at = 1, #parents, 2 do release_children(parents[at], ENDINGS[tonumber(parents[at + 1])]) end
return {
  redis.call('ZCARD', P .. 'releasing'),
  redis.call('ZRANGE', P .. 'doomed', 0, most - 1),
  redis.call('ZRANGE', P .. 'group-endings', 0, most - 1),
  redis.call('ZRANGE', P .. 'group-work', 0, most - 1),
}
