from datetime import timedelta

from rq import Queue, get_current_job

from polling_adapter import PollingSession

session = PollingSession()


def ask(token, name):
    poller = session.resume(token)
    job = get_current_job()
    if poller.poll():
        job.connection.hset("results", name, poller.result().text)
    else:
        wait = timedelta(seconds=poller.wait_seconds)
        queue = Queue(job.origin, connection=job.connection)
        queue.enqueue_in(wait, ask, poller.continuation_token(), name)
