-- Reads which queues have a live worker. Returns `QUEUE/WORKER` words.
return redis.call('ZRANGEBYSCORE', P .. 'serving', now_ms(), '+inf')
