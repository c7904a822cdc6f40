"""To run it: uvicorn fastapi_server:app"""

import asyncio
import math
import time
import uuid

from fastapi import FastAPI, HTTPException
from fastapi.responses import RedirectResponse
from report import make_report

WAIT = 1  # seconds that a client is asked to wait
EARLY = 0.9 * WAIT  # until then a poll is early: clocks differ a little
KEPT = 3600  # seconds that a finished job is kept

app = FastAPI()
jobs = {}  # of this process: several keep them in a database, or in Redis


class Job:
    def __init__(self, year):
        self.due = time.monotonic() + EARLY
        self.task = asyncio.create_task(asyncio.to_thread(make_report, year))


def not_yet(location):
    return RedirectResponse(location, 303, {"Retry-After": str(WAIT)})


@app.post("/reports")
async def start(year: int):
    job_id = str(uuid.uuid4())
    jobs[job_id] = job = Job(year)
    later = asyncio.get_running_loop().call_later
    job.task.add_done_callback(lambda _: later(KEPT, jobs.pop, job_id))
    return not_yet(f"reports/{job_id}")


@app.get("/reports/{job_id}")
async def ask(job_id: str):
    job = jobs.get(job_id)
    if job is None:
        raise HTTPException(404, "there is no such report, or no longer")
    if job.task.done():
        error = job.task.exception()
        if error is not None:
            raise HTTPException(422, str(error))
        return job.task.result()
    left = math.ceil(job.due - time.monotonic())
    if left > 0:
        early = f"not done yet: ask again in {left} s"
        raise HTTPException(429, early, {"Retry-After": str(left)})
    job.due = time.monotonic() + EARLY
    return not_yet(job_id)
