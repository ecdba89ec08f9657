"""Of a shot that has camera RAW and JPEG, one is used, and the other is named once."""

from __future__ import annotations

from pathlib import Path

import pytest

from d2crealsr.store.captures import find_captures, preferred


@pytest.mark.parametrize(
    ("prefer", "kept"),
    [("jpeg", ["a.JPG", "b.arw", "c.png", "d.heic"]), ("raw", ["a.ARW", "b.arw", "c.png", "d.CR3"])],
)
def test_one_of_both_is_kept(prefer: str, kept: list[str]) -> None:
    files = [Path(name) for name in ("a.ARW", "a.JPG", "b.arw", "c.png", "d.CR3", "d.heic")]
    chosen = preferred(files, prefer)
    assert [path.name for path in chosen.files] == kept
    assert sorted([*chosen.files, *chosen.left_out]) == sorted(files)


def test_a_jpeg_elsewhere_or_of_another_name_is_another_shot() -> None:
    files = [Path("in/a.arw"), Path("a.jpg"), Path("A.jpg")]
    assert preferred(files, "raw").files == files


@pytest.mark.parametrize("layout", ["hr/{0}{1}", "{0}_{2}{1}"])
def test_align_takes_the_jpeg_unless_it_is_told_otherwise(layout: str, tmp_path: Path) -> None:
    for scene in ("1", "2"):
        for ending in (".JPG", ".ARW"):
            for side, name in (("hr", "HR"), ("lr", "LR8")):
                path = tmp_path / layout.replace("hr/", f"{side}/").format(scene, ending, name)
                path.parent.mkdir(exist_ok=True)
                path.touch()
    for prefer, ending, other in (("jpeg", ".JPG", "raw"), ("raw", ".ARW", "jpeg")):
        said: list[str] = []
        captures = find_captures(tmp_path, note=said.append, prefer=prefer)
        assert {path.suffix for one in captures for path in (one.hr, one.lr) if path is not None} == {ending}
        assert len(said) == 1
        assert said[0].startswith("4 files (")
        assert said[0].endswith(f"of the same name; --prefer {other} takes it")
