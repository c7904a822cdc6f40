"""A row for each job, whatever has become of it."""

import csv

import requests

from polling_adapter import as_completed, continuation_token


def write_table(session, url, samples, path):
    jobs = {session.submit("POST", url, json=s): s for s in samples}
    # Each line is on the disk when its job is done: buffering=1
    with open(path, "w", newline="", buffering=1) as file:
        table = csv.writer(file)
        table.writerow(["sample", "result", "error", "token"])
        for job in as_completed(jobs):
            table.writerow([jobs[job], *row_of(job)])


def row_of(job):
    try:
        response = job.result()
        response.raise_for_status()
    except requests.RequestException as error:
        return ["", error, continuation_token(error)]
    return [response.text, "", ""]
