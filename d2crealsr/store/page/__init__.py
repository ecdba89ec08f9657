"""The shell of every report: one look, one way to render a template, one way to put a page into a folder.

A page is ``index.html`` and, if needed, files under ``files/`` that it loads when they are viewed. It opens from disk
without a server or a network. Style and scripts are part of the page, and a content security policy forbids it to load
anything that does not lie beside it. The template engine escapes text from tables; :func:`script_data` escapes data for
scripts.

A report of either package extends ``shell/base.html.j2`` (which names its blocks), uses the macros of
``shell/parts.html.j2``, and calls :func:`render` and :func:`publish`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import shutil
from importlib import resources
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError, SettingsError
from d2crealsr.store.files import cannot_write, open_regular, read_text, write_text
from d2crealsr.store.outputs import check_folder
from d2crealsr.store.ownership import refuse_foreign, refuse_links

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import jinja2

__all__ = ["FILES", "PAGE", "claim", "environment", "publish", "render", "script_data"]

PAGE = "index.html"
FILES = "files"
"""Folder beside the page with the files that it needs."""
RECORD = ".page.json"
"""File with the names under ``files/`` that the page needs, and which a later page may therefore remove."""


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
        raise SettingsError("report: jinja2 is not installed; pip install 'd2crealsr[report]'") from error
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
        File names in the same folder. They are put into the page in this order, after the shell's own script.
    **context
        The values that the template shows.
    """
    folder = resources.files(package) / "templates"
    sources = [_shell("shell.js"), *((folder / name).read_text(encoding="utf-8") for name in scripts)]
    page = environment(package).get_template(template)
    return page.render(
        **context,
        shell_style=_verbatim(_shell("shell.css")),
        scripts=[_verbatim(s) for s in sources],
        policy=_policy(sources),
    )


def claim(folder: Path, generator: str, earlier: re.Pattern[str]) -> None:
    """Make sure that a folder has no page, or one made by the same generator.

    Parameters
    ----------
    generator : str
        Content of the page's meta element of that name.
    earlier : re.Pattern
        Names under ``files/`` that an interrupted command may have left before publishing its page.

    Raises
    ------
    LayoutError
        When the folder contains a page or files of other origin, pairs, captures or checkpoints, or ``files`` is a
        link.
    UsageError
        When something other than a folder is in its place, or the folder may not be written to.
    """
    index, files = folder / PAGE, folder / FILES
    check_folder(folder)
    refuse_links(folder, FILES, PAGE, RECORD)
    refuse_foreign(folder, own="a page")
    if index.exists():
        meta = f'<meta name="generator" content="{generator}">'
        ours = index.is_file() and meta in _beginning(index)
    else:
        entries = files.iterdir() if files.is_dir() else ()
        ours = (folder / RECORD).is_file() or all(earlier.fullmatch(entry.name) for entry in entries)
    if not ours:
        raise LayoutError(
            f"{folder}: holds {index.name} or {files.name} that no `{generator}` made; give another folder with --out"
        )


def _beginning(page: Path) -> str:
    with open_regular(page) as file:
        return file.read(4000).decode("utf-8", "replace")


def publish(folder: Path, html: str, files: Collection[str] = (), *, earlier: re.Pattern[str]) -> None:
    """Write the page to ``folder/index.html``, then remove files under ``folder/files/`` that only an earlier one used.

    The page replaces the old one in a single step, when all files that it names exist. A reader who opens the folder at
    any moment therefore finds a complete report, either the old one or the new one.

    Parameters
    ----------
    files : collection of str
        Names of the folders and files directly under ``files/`` that the page needs. They must exist already.
    earlier : re.Pattern
        Names that are assumed to belong to an earlier page if there is no record of one.

    Raises
    ------
    MachineError
        When the disk cannot store it.
    """
    try:
        refuse_links(folder, FILES)
        recorded = _recorded(folder)
        write_text(folder / PAGE, html)
        for entry in (folder / FILES).iterdir() if (folder / FILES).is_dir() else ():
            known = earlier.fullmatch(entry.name) if recorded is None else entry.name in recorded
            if entry.name in files or not known:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        write_text(folder / RECORD, json.dumps(sorted(files)) + "\n")
    except OSError as error:
        raise cannot_write(folder, error) from error


def _recorded(folder: Path) -> set[str] | None:
    """Names under ``files/`` that the present page needs; None if this is not known."""
    try:
        names = json.loads(read_text(folder / RECORD))
    except (OSError, ValueError, RecursionError):
        return None
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else None


def script_data(value: Any) -> Any:
    """``value`` as JSON that is safe inside a ``<script>`` element, whatever text it contains.

    Characters that could end the element or open another are written as escapes. Numbers that JSON does not have (nan,
    infinity) become null.

    Examples
    --------
    >>> print(script_data({"scene": "</script><b>", "zncc": float("nan")}))
    {"scene":"\\u003c/script\\u003e\\u003cb\\u003e","zncc":null}
    """
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
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
