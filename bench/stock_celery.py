"""The rival of bench/engine.py: Celery with its default settings and a task that does nothing."""

import os
import time

import redis
from celery import Celery

app = Celery("stock", broker=os.environ.get("BENCH_BROKER"))


@app.task
def noop(*, tell: bool = False) -> None:
    """Do nothing, or tell when it began."""
    if tell:
        began = time.time()
        redis.Redis.from_url(os.environ["BENCH_REDIS"]).lpush("stock-started", repr(began))
