from celery_tasks import ask

from polling_adapter import PollingSession

with PollingSession() as session:
    job = session.begin("POST", "https://example.org/start_work")
    result = ask.delay(job.continuation_token())
print(result.get())
