"""To run it: python django_server.py runserver"""

import math
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.core.cache import cache
from django.core.management import execute_from_command_line
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from report import make_report

WAIT = 1  # seconds that a client is asked to wait
EARLY = 0.9 * WAIT  # until then a poll is early: clocks differ a little
KEPT = 3600  # seconds that a job may take, and that it is kept then

# Several processes need a cache that they share, such as Redis.
backend = "django.core.cache.backends.locmem.LocMemCache"
caches = {"default": {"BACKEND": backend, "OPTIONS": {"MAX_ENTRIES": 10**5}}}
hosts = ["localhost", "127.0.0.1"]
settings.configure(ALLOWED_HOSTS=hosts, CACHES=caches, ROOT_URLCONF=__name__)
pool = ThreadPoolExecutor()


def work(job_id, year):
    try:
        answer = 200, make_report(year)
    except Exception as error:
        answer = 422, {"error": str(error)}
    cache.set(job_id, answer, KEPT)


def not_yet(job_id, location):
    cache.set(f"{job_id}-due", time.time() + EARLY, WAIT)
    headers = {"Location": location, "Retry-After": WAIT}
    return HttpResponse(status=303, headers=headers)


@csrf_exempt
@require_POST
def start(request):
    year = request.GET.get("year", "")
    if not year.isdecimal():
        return JsonResponse({"error": "year takes a number"}, status=400)
    job_id = str(uuid.uuid4())
    cache.set(job_id, (303, None), KEPT)
    pool.submit(work, job_id, int(year))
    return not_yet(job_id, f"reports/{job_id}")


@require_safe
def ask(_request, job_id):
    unknown = 404, {"error": "there is no such report, or no longer"}
    status, content = cache.get(job_id, unknown)
    if status != 303:
        return JsonResponse(content, status=status)
    left = math.ceil(cache.get(f"{job_id}-due", 0) - time.time())
    if left > 0:
        early = {"error": f"not done yet: ask again in {left} s"}
        return JsonResponse(early, status=429, headers={"Retry-After": left})
    return not_yet(job_id, job_id)


urlpatterns = [path("reports", start), path("reports/<uuid:job_id>", ask)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
