from polling_adapter import continuation_token


def ask(session, url, question, credential):
    response = session.post(url, json=question, headers=bearer(credential()))
    for _ in range(10):  # a job may outlive so many
        token = continuation_token(response)
        if response.status_code != 401 or token is None:
            break
        headers = bearer(credential())
        job = session.resume(token, json=question, headers=headers)
        response = job.result()
    return response


def bearer(credential):
    return {"Authorization": f"Bearer {credential}"}
