import uuid

import requests

from polling_adapter import continuation_token


def ask(session, url, question):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    try:
        return session.post(url, json=question, headers=key)
    except requests.RequestException as error:
        token = continuation_token(error)
        if token is None:
            raise
        return session.resume(token, json=question, headers=key).result()
