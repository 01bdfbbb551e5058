-- Creates jobs and their messages.
-- ARGV: seven words a job, see create(). At most 1,000 jobs a call (Lua's unpack takes some 8,000 words).
-- Returns what create() does.
return create(ARGV, 1)
