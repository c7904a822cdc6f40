"""The tasks of the Celery worker of ``test_flower.py``."""

from __future__ import annotations

import os
import time

from celery import Celery

app = Celery("flower_tasks", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.broker_connection_retry_on_startup = True


@app.task(name="tasks.add")
def add(a: int, b: int, seconds: float = 0) -> int:
    time.sleep(seconds)
    return a + b


@app.task(name="tasks.fail")
def fail(seconds: float) -> None:
    time.sleep(seconds)
    raise ValueError("no disk")
