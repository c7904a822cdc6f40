"""The views of the documentation in a project of its own, as Django has one for each process."""

from __future__ import annotations

import json
import sys
import time

import django
from django.conf import settings
from django.db import connection
from django.test import Client

settings.configure(
    ALLOWED_HOSTS=["testserver"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    ROOT_URLCONF="django_views",
)
django.setup()

import django_views  # noqa: E402  (its model needs the settings)

with connection.schema_editor() as editor:
    editor.create_model(django_views.Report)

client = Client()
page = client.post("/reports").headers["Location"]
answers = [client.get(page)]
while answers[-1].status_code == 202:
    time.sleep(0.05)
    answers.append(client.get(page))
again = client.get(page)
unknown = client.get("/reports/7")
django_views.service.close()

pages = [*answers, again, unknown]
json.dump({"statuses": [page.status_code for page in pages], "last": again.json()}, sys.stdout)
