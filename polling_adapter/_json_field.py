"""The predicate that :func:`polling_adapter.pending.json_field` makes."""

from __future__ import annotations

import json
from dataclasses import dataclass

import requests

from ._predicate import Result, Said, address, answers_a_read
from ._rules.address import leads_back, printable, printable_text
from ._rules.json_fields import Values, field, filled, may_have, names_in
from .exceptions import PollingError, WorkFailed

_WORDS = 300  # characters of an answer that a message quotes; its response has them all


@dataclass(frozen=True, repr=False)
class JsonField:
    """Says whether one field of a JSON body is, or is not, among ``listed``.

    :param listed: the values that say that the work is done, where ``ends``; else, that it goes on.
    """

    name: str
    listed: Values
    ends: bool
    failed: Values
    url: str | None
    then: str | None

    def __call__(self, response: requests.Response) -> Said:
        try:
            body = response.json()
        except (ValueError, RecursionError):  # no JSON, or nested too deeply to be a status
            return False
        if not may_have(body, self.name):
            return False
        value = field(body, self.name)
        if value in self.failed:
            says = f"the work failed: {self._state(value)}"
            raise WorkFailed(_message(response, says, body), response=response)
        if (value in self.listed) is self.ends:
            return self._result(response, body, value)
        return self._next(response, body, value)

    def _result(self, response: requests.Response, body: object, value: object) -> Said:
        if self.then is None or (value is None and not self.ends):
            return False
        url = filled(self.then, body)
        return False if url is None or leads_back(url, response.url) else Result(url)

    def _next(self, response: requests.Response, body: object, value: object) -> Said:
        url = None if self.url is None else filled(self.url, body)
        if url is not None:
            return url
        if self.url is None or answers_a_read(response) or address(response):
            return True
        if value is None:  # nothing says that anything was started: a result, or words of a refusal
            return False
        lacks = f"lacks what url is made of ({', '.join(names_in(self.url))})"
        says = f"{self._state(value)}, but {lacks}, so that it is unknown where to ask"
        raise PollingError(_message(response, says, body), response=response)

    def _state(self, value: object) -> str:
        return f"{self.name} is {_words(value)}"

    def __repr__(self) -> str:
        given = [repr(self.name), f"{'until' if self.ends else 'pending'}={self.listed!r}"]
        more = {"failed": self.failed or None, "url": self.url, "then": self.then}
        given += [f"{name}={value!r}" for name, value in more.items() if value is not None]
        return f"json_field({', '.join(given)})"


def _message(response: requests.Response, says: str, body: object) -> str:
    return f"{printable(response.url)} says that {says}; in its own words: {_words(body)}"


def _words(body: object) -> str:
    text = printable_text(json.dumps(body, ensure_ascii=False))
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= _WORDS else f"{text[: _WORDS - 1]}…"
