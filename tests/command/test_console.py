"""What a terminal shows: a bar, and lines only for what deserves them."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from d2crealsr.command import console
from d2crealsr.dataset.build import RunStarted, SceneDone
from d2crealsr.dataset.events import result_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def done(number: int, status: str, **changes: object) -> SceneDone:
    cells = {"scene": f"card_{number:03d}", "reasons": "", "message": "", "residual_hr_px": 0.08, "traceback": ""}
    more = {"seconds": 3.14, "unchanged": False, **changes}
    return SceneDone(number=number, total=3, status=status, **(cells | more))  # type: ignore[arg-type]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_a_scene() -> None:
    assert console.scene_line(done(1, "accepted")) == "[1/3] card_001 accepted  residual 0.08 HR px  3.1 s"
    assert console.scene_line(done(1, "accepted", judged=True)).endswith("residual 0.08 HR px  judged again")
    failed = done(2, "failed", reasons="missing_lr", message="no LR", residual_hr_px=float("nan"))
    assert console.scene_line(failed) == "[2/3] card_002 failed missing_lr  3.1 s  (no LR)"


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    with console.build_progress() as listen:
        listen(RunStarted(total=3))
        listen(done(1, "accepted"))
        listen(done(2, "rejected", reasons="not_same_scene", message="[bold]zncc[/bold] 0.2 below 0.8"))
        listen(done(3, "accepted", unchanged=True))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "aligning" in text
    assert "3/3" in text
    assert "[2/3] card_002 rejected not_same_scene" in text
    assert "[bold]zncc[/bold]" in text  # a scene's text is no markup
    assert "card_001" not in text


def test_pairs_of_one_group_are_not_told_to_be_split(tmp_path: Path) -> None:
    first, second = (done(number, "accepted", group="card") for number in (1, 2))
    third = done(3, "accepted", group="other")
    one = console.build_summary(result_of(tmp_path, [first, second], (), ()), "pairs").splitlines()[-1]
    two = console.build_summary(result_of(tmp_path, [first, third], (), ()), "pairs").splitlines()[-1]
    assert one.endswith("add captures of other pictures: 2 pairs of one group cannot be divided into training and test")
    assert two == "next:   d2crealsr split pairs"
