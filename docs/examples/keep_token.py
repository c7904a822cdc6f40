"""It may be killed at any time: started again, it goes on with its job."""


def result_of(session, url, question, file):
    """``file``, a Path, holds the token for as long as there is no result."""
    if file.exists():
        job = session.resume(file.read_text(), json=question)
    else:
        job = session.begin("POST", url, json=question)
        if not job.done():
            file.write_text(job.continuation_token())
    response = job.result()
    response.raise_for_status()
    file.unlink(missing_ok=True)
    return response
