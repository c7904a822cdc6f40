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
    poller = session.resume(token)
    if poller.poll():
        return poller.result().json()
    raise self.retry(args=[poller.continuation_token()], countdown=poller.wait_seconds)
