"""The shell of reports: what text can do in it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from d2crealsr.errors import SettingsError
from d2crealsr.ui import page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = "<img src=x onerror=alert(1)>&</script>\u2028'\""


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with one template, of a name that no other test uses."""
    folder = tmp_path / "shelltest" / "templates"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "own.js").write_text("const own = 1;", encoding="utf-8")
    (folder / "own.html.j2").write_text(
        '{% extends "shell/base.html.j2" %}{% block title %}{{ name }}{% endblock %}'
        '{% block data %}<script type="application/json" id="d">{{ {"name": name} | script_data }}</script>'
        "{% endblock %}",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "shelltest"
    sys.modules.pop("shelltest", None)


def test_text_is_escaped_in_elements_and_in_data(template: str) -> None:
    html = page.render(template, "own.html.j2", scripts=["own.js"], name=HOSTILE)
    assert "<img" not in html
    data = html.split('id="d">')[1].split("</script>")[0]
    assert json.loads(data) == {"name": HOSTILE}
    assert "const own = 1;" in html


def test_data_has_nothing_that_html_reads() -> None:
    text = str(page.script_data({"a": [HOSTILE, float("inf")], "b": 1.5}))
    assert not set("<>&'\u2028") & set(text)
    assert json.loads(text) == {"a": [HOSTILE, None], "b": 1.5}


def test_the_same_input_gives_the_same_page(template: str) -> None:
    first, second = (page.render(template, "own.html.j2", name="a") for _ in range(2))
    assert first == second


def test_without_jinja2_the_extra_is_named(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(SettingsError, match=r"pip install '\.\[report\]' in the checkout"):
        page.environment(template)
