from __future__ import annotations

import pytest

from ..wire.ways import WAYS, Way


@pytest.fixture(params=["session", "mounted", "begin", "tokens"])
def ask(request: pytest.FixtureRequest) -> Way:
    """``ask(policy, method, url, **kwargs)``: in a session, mounted, by a poller, and by another
    session for each request."""
    return WAYS[request.param]
