"""The documentation's pages: their examples, and how they are run."""

from __future__ import annotations

import ast
import asyncio
import re
import textwrap
from collections.abc import Coroutine, Mapping
from pathlib import Path

TOP = Path(__file__).parent.parent
PAGES = [TOP / "README.rst", *sorted((TOP / "docs").glob("*.rst"))]
EXAMPLE = re.compile(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", re.MULTILINE)


def examples(page: Path) -> list[str]:
    return [textwrap.dedent(block) for block in EXAMPLE.findall(page.read_text())]


def run(page: Path, urls: Mapping[str, str]) -> dict[str, object]:
    """Run the examples of ``page``, with ``urls`` in the place of others, one after the other.

    :return: the names that they have made.
    """
    names: dict[str, object] = {}
    for example in examples(page):
        for url, other in urls.items():
            example = example.replace(url, other)
        # As a notebook does it, which has ``await`` outside of functions, too
        code = compile(example, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        awaiting = eval(code, names)  # noqa: S307
        if isinstance(awaiting, Coroutine):
            asyncio.run(awaiting)
    return names
