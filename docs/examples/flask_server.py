"""To run it: flask --app flask_server run"""

import math
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, request
from report import make_report

WAIT = 1  # seconds that a client is asked to wait
EARLY = 0.9 * WAIT  # until then a poll is early: clocks differ a little
KEPT = 3600  # seconds that a finished job is kept

app = Flask(__name__)
pool = ThreadPoolExecutor()
jobs = {}  # of this process: several keep them in a database, or in Redis


class Job:
    def __init__(self, year):
        self.due = time.monotonic() + EARLY
        self.forgotten = math.inf
        self.future = pool.submit(make_report, year)
        self.future.add_done_callback(self.keep)

    def keep(self, _future):
        self.forgotten = time.monotonic() + KEPT


@app.post("/reports")
def start():
    year = request.args.get("year", type=int)
    if year is None:
        return {"error": "year takes a number"}, 400
    for job_id, job in list(jobs.items()):
        if time.monotonic() > job.forgotten:
            jobs.pop(job_id, None)
    job_id = str(uuid.uuid4())
    jobs[job_id] = Job(year)
    return "", 303, {"Location": f"reports/{job_id}", "Retry-After": WAIT}


@app.get("/reports/<job_id>")
def ask(job_id):
    job = jobs.get(job_id)
    if job is None:
        return {"error": "there is no such report, or no longer"}, 404
    if job.future.done():
        error = job.future.exception()
        if error is not None:
            return {"error": str(error)}, 422
        return job.future.result()
    left = math.ceil(job.due - time.monotonic())
    if left > 0:
        early = {"error": f"not done yet: ask again in {left} s"}
        return early, 429, {"Retry-After": left}
    job.due = time.monotonic() + EARLY
    return "", 303, {"Location": job_id, "Retry-After": WAIT}
