"""What a worker on another machine must have: the version, the pairs folder with the run's lease, the captures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.dataset.far_workers import what_is_lacking
from d2crealsr.store.locks import lock_folder
from d2crealsr.ui.versions import version

if TYPE_CHECKING:
    from pathlib import Path


def test_a_machine_that_has_everything_lacks_nothing_while_the_run_lasts(tmp_path: Path) -> None:
    capture, own = tmp_path / "001.png", version("d2crealsr")
    capture.touch()
    with lock_folder(tmp_path / "pairs") as lease:
        assert what_is_lacking(tmp_path / "pairs", lease, capture, own) == ""
        assert what_is_lacking(tmp_path / "pairs", lease, None, own) == ""
    assert what_is_lacking(tmp_path / "pairs", lease, capture, own).startswith(f"does not see {tmp_path / 'pairs'} as")


def test_what_is_lacking_is_named(tmp_path: Path) -> None:
    own = version("d2crealsr")
    with lock_folder(tmp_path / "pairs") as lease:
        assert what_is_lacking(tmp_path / "pairs", lease, None, "9.9") == f"has d2crealsr {own}, expected 9.9"
        assert "does not see the captures, such as " in what_is_lacking(tmp_path / "pairs", lease, tmp_path / "x", own)
        (tmp_path / "other").mkdir()  # a folder of the same name on another disk
        assert what_is_lacking(tmp_path / "other", lease, None, own).startswith("does not see ")
        assert what_is_lacking(tmp_path / "nowhere", lease, None, own).startswith("does not see ")
