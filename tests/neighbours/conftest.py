"""What is not installed is not tested; with ``NEIGHBOURS=all``, all of it must be there."""

from __future__ import annotations

import os
from importlib.util import find_spec

_NEEDED = {
    "test_cassettes.py": ("vcr", "betamax"),
    "test_credentials.py": ("freezegun", "google.auth", "requests_aws4auth", "requests_ntlm"),
    "test_docker.py": ("docker",),
    "test_freezegun.py": ("freezegun",),
    "test_own_redirects.py": ("azure.core", "keystoneauth1"),
    "test_pandas.py": ("pandas",),
}


def _is_missing(module: str) -> bool:
    try:
        return find_spec(module) is None
    except ModuleNotFoundError:  # what it is in
        return True


collect_ignore = [file for file, needed in _NEEDED.items() if any(map(_is_missing, needed))]

if os.environ.get("NEIGHBOURS") == "all" and collect_ignore:
    raise ImportError(f"not all is installed that {collect_ignore} need")
