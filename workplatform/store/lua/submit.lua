-- Creates jobs and their messages, all of them or none.
-- ARGV: most jobs of a queue that may wait, types of the queues (see refusal()), then seven words a job, see create(). At
--       most 1,000 jobs a call (Lua's unpack takes some 8,000 words).
-- Returns what create() or refusal() does.
return refusal(tonumber(ARGV[1]), ARGV[2], ARGV, 3) or create(ARGV, 3)
