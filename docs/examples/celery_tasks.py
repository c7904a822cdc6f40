import os

from celery import Celery

from polling_adapter import PollingSession

redis = os.environ["REDIS_URL"]
app = Celery("jobs", broker=redis, backend=redis)
app.conf.task_acks_late = True
app.conf.broker_transport_options = {
    "visibility_timeout": int(os.environ.get("VISIBILITY_TIMEOUT", "3600"))
}
session = PollingSession()


@app.task(bind=True, max_retries=None)
def ask(self, token):
    job = session.resume(token)
    if job.poll():
        return job.result().json()
    token, wait = job.continuation_token(), job.wait_seconds
    raise self.retry(args=[token], countdown=wait)
