"""Fields of a JSON body: where they are, which values they have, and addresses made of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

# A dot leads into a field, braces are what marks one in a template: no URL has them (RFC 3986
# section 2).
_NAME = re.compile(r"[^.{}]+(?:\.[^.{}]+)*")
_FIELD = re.compile(rf"\{{({_NAME.pattern})\}}")
_TEMPLATE = re.compile(rf"(?:[^{{}}]|{_FIELD.pattern})+")
_INDEX = re.compile(r"[0-9]{1,9}")


def checked_name(parameter: str, name: object) -> str:
    """:raises TypeError, ValueError: ``name`` leads to no field."""
    accepted = "a field, such as 'status' or 'jobs.0.status'"
    return _checked(parameter, name, accepted, _NAME)


def checked_template(parameter: str, template: object) -> str | None:
    """:raises TypeError, ValueError: no address can be made of ``template``."""
    if template is None:
        return None
    accepted = "a URL, with fields in braces, such as '/jobs/{id}', or None"
    return _checked(parameter, template, accepted, _TEMPLATE)


def _checked(parameter: str, value: object, accepted: str, form: re.Pattern[str]) -> str:
    if isinstance(value, str) and form.fullmatch(value):
        return value
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(f"{parameter}={value!r} is not accepted: it takes {accepted}")


def names_in(template: str) -> list[str]:
    """The fields that ``template`` needs."""
    return _FIELD.findall(template)


def may_have(body: object, name: str) -> bool:
    """Whether ``body`` is of the kind that ``name`` leads into."""
    index = _INDEX.fullmatch(name.partition(".")[0])
    return isinstance(body, (dict, list) if index else dict)


def field(body: object, name: str) -> object:
    """What ``name`` leads to; None where it is absent."""
    if isinstance(body, dict) and name in body:  # as nearly always; the key may have dots, too
        return body[name]
    first, dot, rest = name.partition(".")
    inner = _item(body, first)
    return field(inner, rest) if dot else inner


def _item(body: object, key: str) -> object:
    if isinstance(body, dict):
        return body.get(key)
    if isinstance(body, list) and _INDEX.fullmatch(key) and int(key) < len(body):
        return body[int(key)]
    return None


def filled(template: str, body: object) -> str | None:
    """``template`` with the fields of ``body``, quoted, or as it is where it is one field alone;
    None where one of them is absent, or is nothing that an address could be made of."""
    found = {name: _text(field(body, name)) for name in names_in(template)}
    if not all(found.values()):
        return None
    alone = _FIELD.fullmatch(template)
    if alone:
        return found[alone[1]]
    # JSON may hold half of a surrogate pair, which no encoding has
    return _FIELD.sub(lambda one: quote(found[one[1]], safe="", errors="replace"), template)


def _text(value: object) -> str:
    usable = isinstance(value, (str, int)) and not isinstance(value, bool)
    return str(value) if usable else ""


@dataclass(frozen=True, repr=False)
class Values:
    """A set of JSON values, in which true is not 1."""

    _told_apart: frozenset[tuple[bool, object]]

    @classmethod
    def of(cls, parameter: str, given: object) -> Values:
        """:param given: one value, or an iterable of them; None only in one.
        :raises TypeError: it is neither.
        """
        items = _items(given)
        if items is None or not all(map(_is_value, items)):
            raise TypeError(
                f"{parameter}={given!r} is not accepted: it takes a value of JSON (str, int, float "
                "or bool), or a collection of them and None"
            )
        return cls(frozenset((isinstance(item, bool), item) for item in items))

    def __contains__(self, value: object) -> bool:
        return _is_value(value) and (isinstance(value, bool), value) in self._told_apart

    def __and__(self, other: Values) -> Values:
        return Values(self._told_apart & other._told_apart)

    def __len__(self) -> int:
        return len(self._told_apart)

    def __repr__(self) -> str:
        shown = sorted(repr(value) for _, value in self._told_apart)
        return shown[0] if len(shown) == 1 and shown != ["None"] else f"[{', '.join(shown)}]"


def _items(given: object) -> list[object] | None:
    if isinstance(given, (str, int, float)):  # a str is one value, not its letters
        return [given]
    if isinstance(given, Iterable) and not isinstance(given, (bytes, bytearray)):
        return list(given)
    return None


def _is_value(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)  # JSON knows no other (RFC 8259 section 6)
    return value is None or isinstance(value, (str, int))
