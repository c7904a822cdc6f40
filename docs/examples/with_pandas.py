"""A job for each row of a table, and two columns more: result and error."""

import requests

from polling_adapter import as_completed


def with_results(session, url, table):
    rows = enumerate(table.to_dict("records"))
    jobs = {session.submit("POST", url, json=row): n for n, row in rows}
    results, errors = [None] * len(table), [None] * len(table)
    for job in as_completed(jobs):
        try:
            response = job.result()
            response.raise_for_status()
            results[jobs[job]] = response.json()
        except requests.RequestException as error:
            errors[jobs[job]] = str(error)
    return table.assign(result=results, error=errors)
