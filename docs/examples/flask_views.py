"""One view begins a job, one asks once for its result. Neither ever waits."""

import math
import os

from flask import Flask, abort, session

from polling_adapter import PollingPolicy, PollingSession

SERVICE = os.environ["SERVICE"]

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]

# So long a poll may take: no view is to hang where the service does.
service = PollingSession(PollingPolicy(poll_timeout=5))


@app.post("/report")
def begin():
    return answer(service.submit("POST", f"{SERVICE}/start_work", timeout=5))


@app.get("/report")
def report():
    if "job" not in session:
        abort(404)
    return answer(service.resume(session["job"]))


def answer(job):
    if not job.poll():
        session["job"] = job.continuation_token()
        seconds = math.ceil(job.wait_seconds)
        return "not yet", 202, {"Refresh": f"{seconds}; url=/report"}
    response = job.result()
    response.raise_for_status()
    return response.json()
