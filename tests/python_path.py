"""Where the processes that tests start find what they import."""

from __future__ import annotations

import os
from pathlib import Path


def python_path(*folders: Path) -> dict[str, str]:
    """``folders`` first, and then what the tests themselves were given."""
    paths = [*map(str, folders), os.environ.get("PYTHONPATH")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
