"""benchmarks/asked.py: what was asked for is kept, and something else is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.asked import check_asked, files_said, photographs_said
from d2crealsr.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_same_request_passes_and_another_is_refused_with_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "work" / "asked.json"
    for _ in range(2):
        check_asked(path, {"scale": 8, "photographs": None, "seeds": (1, 2)})
    with pytest.raises(UsageError, match=r"was made with scale 8, now asked for scale 2; give another --work$"):
        check_asked(path, {"scale": 2, "photographs": None, "seeds": (1, 2)})
    with pytest.raises(UsageError, match=r"made with scale 8, size None, now asked for scale 2, size mini"):
        check_asked(path, {"scale": 2, "size": "mini", "photographs": None, "seeds": (1, 2)})
    path.write_text('{"scale"', encoding="utf-8")
    with pytest.raises(UsageError, match="damaged"):
        check_asked(path, {"scale": 8})


def test_photographs_differ_by_name_size_and_number(tmp_path: Path) -> None:
    said = [photographs_said(None)]
    for name, content in (("a.jpg", "1"), ("b.jpg", "1"), ("b.jpg", "22")):
        (tmp_path / name).write_text(content, encoding="utf-8")
        said.append(photographs_said(tmp_path))
    (tmp_path / "b.jpg").rename(tmp_path / "c.jpg")
    said.append(photographs_said(tmp_path))
    assert len(set(said)) == len(said)
    (tmp_path / "note.txt").write_text("no photograph", encoding="utf-8")
    assert photographs_said(tmp_path) == said[-1]
    assert said[-1] == files_said(sorted(tmp_path.glob("*.jpg"), reverse=True))
