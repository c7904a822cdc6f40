import dataclasses
import re

from sphinx.application import Sphinx

from polling_adapter import __version__

project = "polling_adapter"
author = copyright = "The polling_adapter developers"
version = release = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.intersphinx", "sphinx_copybutton"]
exclude_patterns = ["_build", "inventories"]

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"polling_adapter {version}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

copybutton_prompt_text = "$ "

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 45

# Where a site cannot be reached, the names that these pages use are here: no network is needed.
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", (None, "inventories/python.txt")),
    "requests": ("https://requests.readthedocs.io/en/latest", (None, "inventories/requests.txt")),
    "urllib3": ("https://urllib3.readthedocs.io/en/stable", (None, "inventories/urllib3.txt")),
}
intersphinx_timeout = 5

# Each reference of ours leads somewhere; what others have in their pages is theirs.
nitpicky = True
OF_OTHERS = r"(requests|urllib3|collections|concurrent|contextlib|typing)\..*"
nitpick_ignore_regex = [
    ("py:.*", OF_OTHERS),
    ("py:class", r".*\[.*|polling_adapter\._works\.Works"),
]

# By the names that a reader knows: those of requests, and what only type checkers see.
KNOWN_AS = {
    "requests.models.Response": "requests.Response",
    "requests.models.PreparedRequest": "requests.PreparedRequest",
    "Unpack[Arguments]": "Any",
    "Unpack[Fields]": "Any",
    "Said": "bool | str | Result | None",
    "Predicate": "Callable[[requests.Response], bool | str | Result | None]",
    "_Values": "str | int | float | None | Iterable",
    "_Fault": "str",
}


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-signature", in_known_names)
    app.connect("autodoc-process-docstring", fields_with_anchors)


def in_known_names(*event: object) -> tuple[str | None, ...]:
    return tuple(named and known(named) for named in event[-2:])  # type: ignore[misc,arg-type]


def known(annotation: str) -> str:
    for name, other in KNOWN_AS.items():
        annotation = re.sub(rf"(?<![\w.]){re.escape(name)}(?!\w)", other, annotation)
    return annotation


def fields_with_anchors(
    _app: Sphinx, what: str, _name: str, documented: object, _options: object, lines: list[str]
) -> None:
    """Each field of a value has an anchor: what ``:param:`` says of it is said there."""
    if what != "class" or not dataclasses.is_dataclass(documented):
        return
    fields = {field.name: field for field in dataclasses.fields(documented)}
    shown: list[str] = []
    in_field = False
    for line in lines:
        named = re.match(r":param (\w+): (.*)", line)
        field = fields.get(named[1]) if named else None
        if named and field:
            shown += ["", f".. attribute:: {field.name}", f"   :type: {known(str(field.type))}"]
            if field.default is not dataclasses.MISSING:
                shown.append(f"   :value: {shortly(field.default)}")
            shown += ["", f"   {named[2]}"]
        elif in_field and line.startswith(" "):
            shown.append(f"   {line.strip()}")
        else:
            shown += ["", line] if in_field else [line]
        in_field = bool(field) or (in_field and line.startswith(" "))
    lines[:] = shown


def shortly(default: object) -> str:
    """As a person writes it."""
    if isinstance(default, frozenset):
        return f"{{{', '.join(str(one) for one in sorted(default))}}}"
    return repr(default)
