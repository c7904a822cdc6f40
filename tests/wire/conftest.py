from __future__ import annotations

import pytest

from .ways import WAYS, Way


@pytest.fixture(params=list(WAYS))
def ask(request: pytest.FixtureRequest) -> Way:
    """``ask(policy, method, url, **kwargs)`` in every way in."""
    return WAYS[request.param]
