"""Bad input in its short form, and that the judge of it can say no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from d2crealsr.store.images import write_image
from tests.robustness import bad_input
from tests.robustness.bad_files import KINDS, Made, special

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_sixty_bad_inputs(cache: Path, tmp_path: Path) -> None:
    """50 scenes of every kind in one run, 10 runs of their own."""
    result = CliRunner().invoke(bad_input.main, ["--small", "--cache", str(cache), "--out", str(tmp_path / "bad.md")])
    assert result.exit_code == 0, result.output
    assert "50 bad scenes" in result.output
    assert "0 of them wrong; 10 runs of their own" in result.output
    assert "0 outcomes that are not as they should be" in (tmp_path / "bad.md").read_text()


def row(**cells: Any) -> dict[str, Any]:
    return {"status": "failed", "reasons": "unreadable", "message": "a.jpg: cannot be read", **cells}


@pytest.mark.parametrize(
    ("name", "cells", "wrong"),
    [
        ("truncated", {}, ""),
        ("truncated", {"reasons": "too_few_matches"}, "unexpected"),
        ("truncated", {"reasons": "internal_error"}, "internal error"),
        ("truncated", {"status": "accepted", "reasons": ""}, "unexpected"),
        ("header-lies", {"reasons": "low_texture"}, ""),
        ("header-lies", {"status": "accepted", "reasons": ""}, "no pair of these files is right"),
        ("clean", {}, "unexpected"),
        ("zero-bytes", {"message": ""}, "no message"),
    ],
)
def test_the_judge(name: str, cells: dict[str, Any], wrong: str, tmp_path: Path) -> None:
    made = Made(hr=special("absent"), lr=special("absent"), truth=None)
    said = bad_input.judge(row(**cells), name, made, tmp_path)
    assert wrong in said
    assert bool(said) == bool(wrong)


def test_two_things_in_one_pair(tmp_path: Path) -> None:
    lr = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    hr = lr.repeat(8, 0).repeat(8, 1)
    write_image(tmp_path / "hr.png", hr)
    write_image(tmp_path / "lr.png", lr)
    assert bad_input.something_else(tmp_path / "hr.png", tmp_path / "lr.png") == 0
    lr[:, :16] = lr[::-1, :16]
    write_image(tmp_path / "lr.png", lr)
    assert bad_input.something_else(tmp_path / "hr.png", tmp_path / "lr.png") > 0.1


def test_every_kind_says_what_is_right() -> None:
    assert len(KINDS) >= 38
    assert all(kind.expected for kind in KINDS.values())
