"""One view begins a job, one asks once for its result. Neither ever waits."""

import math
import os

from django.db import models, transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.views.decorators.http import require_POST

from polling_adapter import PollingPolicy, PollingSession

SERVICE = os.environ["SERVICE"]

# So long a poll may take: no view is to hang where the service does.
service = PollingSession(PollingPolicy(poll_timeout=5))


class Report(models.Model):
    token = models.TextField()
    result = models.JSONField(null=True)

    class Meta:
        app_label = "reports"


@require_POST
def begin(request):
    begun = Report()
    ask(begun, service.submit("POST", f"{SERVICE}/start_work", timeout=5))
    return redirect("report", begun.pk)


@transaction.atomic
def report(request, pk):
    # Who asks meanwhile waits for this row: the service is not asked twice.
    found = get_object_or_404(Report.objects.select_for_update(), pk=pk)
    if found.result is None:
        job = service.resume(found.token)
        ask(found, job)
    if found.result is None:
        later = {"Refresh": math.ceil(job.wait_seconds)}
        return HttpResponse("not yet", status=202, headers=later)
    return JsonResponse(found.result)


def ask(report, job):
    if job.poll():
        response = job.result()
        response.raise_for_status()
        report.result = response.json()
    else:
        report.token = job.continuation_token()
    report.save()


urlpatterns = [
    path("reports", begin),
    path("reports/<int:pk>", report, name="report"),
]
