"""The shell of every report: one look, and one way to render a template. It makes text and writes no file.

A page opens from disk without a server or a network. Style and scripts are part of the page, and a content security
policy forbids it to load anything that does not lie beside it. The template engine escapes text from tables;
:func:`script_data` escapes data for scripts.

A report of either package extends ``shell/base.html.j2`` (which names its blocks), uses the macros of
``shell/parts.html.j2``, and calls :func:`render`. The file layer puts the page into a folder
(:mod:`d2crealsr.store.page_folder`).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import math
from importlib import resources
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import SettingsError
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jinja2

__all__ = ["environment", "number", "render", "script_data"]


_SCRIPTS = ("shell.js", "saving.js")


def environment(package: str) -> jinja2.Environment:
    """The templates of ``package`` (in its folder ``templates``), and those of the shell under ``shell/``.

    All text is escaped.

    Raises
    ------
    SettingsError
        When jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise SettingsError(f"report: jinja2 is not installed; {how_to_install('report')}") from error
    shell = jinja2.PrefixLoader({"shell": jinja2.PackageLoader(__name__, "templates")})
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([shell, jinja2.PackageLoader(package, "templates")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["script_data"] = script_data
    made.filters["number"] = number
    return made


def render(package: str, template: str, *, scripts: Sequence[str] = (), **context: Any) -> str:
    """A page as text.

    Parameters
    ----------
    package : str
        Package whose folder ``templates/`` contains the template, such as ``"d2c.report"``.
    template : str
        File name of the template, which extends ``shell/base.html.j2``.
    scripts : sequence of str
        File names in the same folder. They are put into the page in this order, after the shell's own scripts.
    **context
        The values that the template shows.
    """
    folder = resources.files(package) / "templates"
    sources = [*map(_shell, _SCRIPTS), *((folder / name).read_text(encoding="utf-8") for name in scripts)]
    page = environment(package).get_template(template)
    return page.render(
        **context,
        shell_style=_verbatim(_shell("shell.css")),
        scripts=[_verbatim(s) for s in sources],
        policy=_policy(sources),
    )


def script_data(value: Any) -> Any:
    """``value`` as JSON that is safe inside a ``<script>`` element, whatever text it contains.

    Characters that could end the element or open another are written as escapes. Numbers that JSON does not have (nan,
    infinity) become null.

    Examples
    --------
    >>> print(script_data({"scene": "</script><b>", "zncc": float("nan")}))
    {"scene":"\\u003c/script\\u003e\\u003cb\\u003e","zncc":null}
    """
    as_json = functools.partial(json.dumps, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        text = as_json(value)
    except ValueError:  # looking at every number takes longer than writing them, and is rarely needed
        text = as_json(_finite(value))
    for character in "<>&'\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return _verbatim(text)


def number(value: float | None, digits: int = 3) -> str:
    """A number for people: with ``digits`` significant digits, or an en dash if there is no number.

    Examples
    --------
    >>> number(0.01234), number(1234.5), number(float("nan"))
    ('0.0123', '1234', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:.{decimals}f}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shell(name: str) -> str:
    return (resources.files(__name__) / "templates" / name).read_text(encoding="utf-8")


def _verbatim(text: str) -> Any:
    """Text of our own, or text already made safe, which the template engine must not escape (again)."""
    from markupsafe import Markup

    return Markup(text)


def _policy(scripts: Sequence[str]) -> str:
    """Content security policy that permits only these scripts and files beside the page."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    beside = "'self' file:"
    return (
        f"default-src 'none'; script-src {allowed} {beside}; style-src 'unsafe-inline'; "
        f"img-src {beside} data: blob:; base-uri 'none'; form-action 'none'"
    )
