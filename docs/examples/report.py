"""The work: it takes its time, and it may fail."""

import time


def make_report(year):
    time.sleep(1.5)
    if year > 2026:
        raise LookupError(f"there are no figures for {year}")
    return {"year": year, "total": 42}
