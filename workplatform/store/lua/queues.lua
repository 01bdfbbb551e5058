-- Reads how the queues stand. Returns {`QUEUE/WORKER` words of live workers, paused queues, draining queues}.
return queue_states()
