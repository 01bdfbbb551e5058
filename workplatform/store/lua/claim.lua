-- Gives a queued job to a worker for one attempt.
-- ARGV: id, worker, node, slots of the node (0 = this type takes none), lease in ms, claim (a word that makes a
--       repeated call, after a lost answer, get the same grant), message (to put back when no slot is free).
-- Reads the record and the node's slots; moves the job queued -> running with a new fence, attempt and lease.
-- Returns {'granted', id, type, priority, fence, attempts, retries, spec, ms since creation}, {'gone', status}, {'no_slot'},
-- {'paused'}, {'parked'} (another job of its series runs, or a newer one is there) or {'limited'} (it waits for a limit).
return claim_job(ARGV[1], {ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]}, ARGV[7])
