-- Creates jobs and their messages.
-- ARGV: nine words a job, see create(). At most 800 jobs a call (Lua's unpack takes some 8,000 words).
-- Returns the moment of creation in ms.
return create(ARGV, 1)
