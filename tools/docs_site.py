"""What the site of the documentation needs beside its pages; mkdocs.yml names this file.

The pages are also read in the checkout, where they link to files outside of docs/. On the site such a link is the path
of the file, as the site contains no other files. Decisions are listed in the navigation by their numbers. The pages of
commands show what the commands print.
"""

from __future__ import annotations

import dataclasses
import importlib
import posixpath
import re
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from mkdocs.exceptions import PluginError

PROGRAMS = {"d2crealsr": "d2crealsr.command.cli:main", "d2c": "d2c.cli:cli"}
SETTINGS = re.compile(r"<!-- settings of ([\w.]+):(\w+) -->")
HELP = re.compile(r"<!-- help of (\w+) -->")
ROLE = re.compile(r":(?:func|class|meth|mod|data|attr|exc):<code>(~?)([\w.]+)</code>")
DOCS = Path(__file__).parents[1] / "docs"
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)[^)#\s]+|example-pairs[^)]*|tables\.json)(#[^)]*)?\)")


def on_config(config: Any) -> Any:
    """Add the decisions to the navigation, in the order of their numbers."""
    (decisions,) = [part["Decisions"] for part in config["nav"] if "Decisions" in part]
    decisions += [f"adr/{path.name}" for path in sorted((DOCS / "adr").glob("0*.md"))]
    return config


def on_page_markdown(text: str, page: Any, **_: Any) -> str:
    """Replace links to files that the site does not have by their paths in the repository."""

    def replaced(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.file.src_uri), found[2]))
        if (DOCS.parent / path).suffix == ".md" and path.startswith("docs/"):
            return found[0]
        if not (DOCS.parent / path).exists():
            raise PluginError(f"{page.file.src_uri}: links to {path}, which is not there; correct the link")
        shown = found[1].strip("`")
        return f"`{path}`" if shown == posixpath.basename(path) else f"{found[1]} (`{path}`)"

    text = SETTINGS.sub(lambda found: settings_of(found[1], found[2]), LINK.sub(replaced, text))
    return HELP.sub(lambda found: help_of(found[1]), text)


def on_page_content(html: str, **_: Any) -> str:
    """Write roles of reStructuredText in docstrings, such as :func:`name`, as the name."""
    return ROLE.sub(lambda found: f"<code>{found[2].split('.')[-1] if found[1] else found[2]}</code>", html)


def settings_of(module: str, name: str) -> str:
    """A table of the fields of a settings dataclass."""
    lines = ["| Setting | Default | Range | What it does |", "|---|---|---|---|"]
    for field in dataclasses.fields(getattr(importlib.import_module(module), name)):
        known = field.metadata
        low, high = known.get("at_least"), known.get("at_most")
        limits = (
            "" if low is None and high is None else f"{'' if low is None else low} … {'' if high is None else high}"
        )
        unit = f" [{known['unit']}]" if known.get("unit") else ""
        lines.append(f"| `{field.name}` | `{field.default}` | {limits} | {known['doc']}{unit} |")
    return "\n".join(lines)


def help_of(name: str) -> str:
    """What every command of a program prints with ``--help``, each under its own heading."""
    module, attribute = PROGRAMS[name].split(":")
    program = getattr(importlib.import_module(module), attribute)
    parts = []
    for command in sorted(program.commands):
        shown = CliRunner(env={"COLUMNS": "80"}).invoke(program, [command, "--help"], prog_name=name)
        parts.append(f"## {name} {command}\n\n```text\n{shown.stdout}```\n")
    return "\n".join(parts)
