"""Pairs that changed settings no longer accept: nothing is lost without consent, and consent needs no second run."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from d2crealsr.dataset.build import SceneDone, build
from d2crealsr.dataset.freshness import SceneResult
from d2crealsr.dataset.reruns import Rerun
from d2crealsr.dataset.split import split
from d2crealsr.errors import UsageError
from d2crealsr.settings import AlignSettings
from d2crealsr.store.description import entries_of
from d2crealsr.store.images import read_image
from d2crealsr.store.ledger import Ledger
from d2crealsr.store.pairs import read_dataset
from tests.dataset.folders import EARLIER, SCENES, content, events_of, manifest, never

if TYPE_CHECKING:
    from collections.abc import Callable

    Aligner = Callable[..., Any]


@pytest.fixture
def raw(make_raw: Callable[[Path, list[str]], Path], tmp_path: Path) -> Path:
    return make_raw(tmp_path / "raw", SCENES)


@pytest.fixture
def picky(raw: Path, aligner: Aligner) -> Callable[..., Aligner]:
    """Makes an aligner that rejects some scenes where the crop is the largest one."""

    def make(*bad: str) -> Aligner:
        first = {tuple(read_image(raw / "lr" / f"{scene}.png")[0, 0]) for scene in bad}

        def align(hr: Any, lr: Any, *, settings: Any) -> Any:
            import dataclasses  # the function reaches workers by value

            found = aligner(hr, lr, settings=settings)
            rejects = settings.crop == "max" and tuple(lr[0, 0]) in first
            return dataclasses.replace(found, reasons=("residual_too_large",)) if rejects else found

        return align

    return make


@pytest.fixture
def out(raw: Path, aligner: Aligner) -> Path:
    """A finished folder of twelve pairs."""
    folder = raw.parent / "pairs"
    build(raw, folder, align=aligner)
    return folder


def test_losses_without_consent_leave_every_pair(raw: Path, out: Path, picky: Callable[..., Aligner]) -> None:
    before, table, described = content(out), manifest(out), entries_of(read_dataset(out))
    with pytest.raises(UsageError) as raised:
        build(raw, out, align=picky("02", "07", "09", "10"), settings={"crop": "max"})
    assert (
        "4 of 12 published pairs would no longer be accepted (crop: default → max): 02 (residual_too_large), 07"
        in str(raised.value)
    )
    assert "--allow-loss" in str(raised.value)
    after = content(out)
    assert entries_of(read_dataset(out)) == described
    for scene in ("02", "07", "09", "10"):
        assert after[f"hr/{scene}.png"] == before[f"hr/{scene}.png"]
        assert manifest(out).loc[scene].equals(table.loc[scene])
    assert (manifest(out)["status"] == "accepted").all()


def test_with_consent_what_was_found_is_applied_at_once(
    raw: Path, out: Path, picky: Callable[..., Aligner], aligner: Aligner
) -> None:
    align = picky("02", "07", "09", "10")
    build(raw, raw.parent / "fresh", align=align, settings={"crop": "max"})
    with pytest.raises(UsageError):
        build(raw, out, align=align, settings={"crop": "max"})
    result = build(raw, out, align=never, settings={"crop": "max"}, allow_loss=True)
    assert result.status == {"accepted": 8, "rejected": 4}
    assert content(out) == content(raw.parent / "fresh")
    assert not (out / ".held.json").exists()
    # and straight away, without a refusal in between
    shutil.rmtree(out)
    build(raw, out, align=aligner)
    build(raw, out, align=align, settings={"crop": "max"}, allow_loss=True)
    assert content(out) == content(raw.parent / "fresh")


def test_the_folders_own_settings_undo_a_refused_change(
    raw: Path, out: Path, picky: Callable[..., Aligner], aligner: Aligner
) -> None:
    before = content(out)
    with pytest.raises(UsageError):
        build(raw, out, align=picky("02", "07"), settings={"crop": "max"})
    said, done, _ = events_of(raw, out, align=aligner)
    assert said == "made with other settings than the folder's, 10 pairs aligned again"
    assert done == set(SCENES) - {"02", "07"}
    assert content(out) == before
    assert not (out / ".held.json").exists()


def test_few_losses_are_applied_with_the_way_back(raw: Path, out: Path, picky: Callable[..., Aligner]) -> None:
    result = build(raw, out, align=picky("02"), settings={"crop": "max"})
    assert result.status == {"accepted": 11, "rejected": 1}
    assert not (out / "hr" / "02.png").exists()
    assert result.notes == (
        "1 of 12 published pairs are no longer accepted (crop: default → max): 02 (residual_too_large); to restore "
        f"them: d2crealsr align {raw} --out {out} --crop default",
    )


def test_force_consents_to_nothing(raw: Path, out: Path, picky: Callable[..., Aligner]) -> None:
    with pytest.raises(UsageError, match="3 of 12 published pairs"):
        build(raw, out, align=picky("02", "07", "09"), settings={"crop": "max"}, force=True)
    assert (manifest(out)["status"] == "accepted").all()


def test_an_interrupted_change_ends_in_the_same_bytes(raw: Path, out: Path, picky: Callable[..., Aligner]) -> None:
    align = picky("02", "07")
    build(raw, raw.parent / "fresh", align=align, settings={"crop": "max"})

    def stop(event: Any) -> None:
        if isinstance(event, SceneDone) and event.number == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(raw, out, align=align, settings={"crop": "max"}, on_event=stop)
    assert read_dataset(out)["settings"]["crop"] == "default"
    assert (manifest(out)["status"] == "accepted").all()
    assert events_of(raw, out, align=align, settings={"crop": "max"}, allow_loss=True)[1] == set(SCENES[5:]) | {"02"}
    assert content(out) == content(raw.parent / "fresh")


def test_a_split_made_between_a_refusal_and_consent_stays(tmp_path: Path) -> None:
    """Held rows are older than it: real captures, whose held verdicts are whole rows of the manifest."""
    shutil.copytree(EARLIER, tmp_path / "v")
    raw, out = tmp_path / "v" / "raw", tmp_path / "v" / "pairs"
    path = out / "manifest.csv"
    path.write_text(re.sub("(accepted,,)(train|test)", r"\1", path.read_text()))
    assert set(manifest(out)["split"]) == {""}
    with pytest.raises(UsageError, match="2 of 3"):
        build(raw, out, settings={"max_residual_p95": 0.3})
    decisions = tmp_path / "decisions.csv"
    decisions.write_text("scene,decision,note\ncoffee,reject,\n")
    split(out, test=1, decisions=decisions)
    before = manifest(out)
    build(raw, out, settings={"max_residual_p95": 0.3}, allow_loss=True)
    assert manifest(out).loc["coffee", ["status", "left_out_of"]].tolist() == ["rejected", "unsplit"]
    assert manifest(out)[["split", "left_out_of"]].equals(before[["split", "left_out_of"]])


def test_held_results_with_odd_parts_are_not_taken(raw: Path, out: Path, picky: Callable[..., Aligner]) -> None:
    with pytest.raises(UsageError, match="2 of 12 published pairs"):
        build(raw, out, align=picky("02", "07"), settings={"crop": "max"})
    path = out / ".held.json"
    whole = path.read_text()
    assert Ledger.load(out).held == json.loads(whole)
    for damage in (
        *({"row": 5}, {"stages": "abc"}, {"timing": [1]}, {"strange": 1}, {"stages": [{"scene": "03"}]}),
        *({"row": {"scene": "02", "recipe": "x"}}, {"row.status": "accepted"}, {"row.scale": "abc"}),
        *({"row.scene": "03"}, {"row.message": 5}, {"row.scale": 10**400}),
    ):
        held = json.loads(whole)
        for place, value in damage.items():
            *above, name = place.split(".")
            (held["02"][above[0]] if above else held["02"])[name] = value
        path.write_text(json.dumps(held))
        assert Ledger.load(out).held == {}, damage


@pytest.mark.parametrize("held", ["", "[]", '{"02": 5}', '{"02": {"row": 5}}', '{"02": {"strange": 1}}', "\xff"])
def test_held_results_that_are_damaged_are_made_again(
    raw: Path, out: Path, picky: Callable[..., Aligner], held: str
) -> None:
    (out / ".held.json").write_text(held, encoding="latin-1")
    with pytest.raises(UsageError, match="2 of 12 published pairs"):
        build(raw, out, align=picky("02", "07"), settings={"crop": "max"})


def test_losses_by_the_folders_own_settings_are_said_truly() -> None:
    """A change that was interrupted had let pairs in which the folder's settings do not accept."""
    rerun = Rerun("raw", Path("pairs"), AlignSettings(), AlignSettings(), "1", "1")
    standing = {scene: {"recipe": "other.verdict"} for scene in SCENES}
    lost = {scene: SceneResult(row={"reasons": "position_uncertain"}, lost=True) for scene in SCENES[:4]}
    with pytest.raises(UsageError, match=r"with the folder's own settings.*give the options that they were made with$"):
        rerun.settle_losses(lost, standing, dict.fromkeys(SCENES, "estimate.verdict"), allowed=False)
    assert "to restore them" not in rerun.settle_losses(
        lost, standing, dict.fromkeys(SCENES, "estimate.verdict"), allowed=True
    )


def test_up_to_half_may_go_for_thresholds_alone() -> None:
    tight = AlignSettings(max_sigma=0.1)
    rerun = Rerun("raw", Path("pairs"), tight, AlignSettings(), "1", "1")
    standing = {scene: {"recipe": "estimate.loose"} for scene in SCENES}
    lost = {scene: SceneResult(row={"reasons": "position_uncertain"}, lost=True) for scene in SCENES[:6]}
    note = rerun.settle_losses(lost, standing, dict.fromkeys(SCENES, "estimate.tight"), allowed=False)
    assert note.endswith("to restore them: d2crealsr align raw --out pairs --max-sigma 0.25")
    more = lost | {SCENES[6]: lost[SCENES[0]]}
    with pytest.raises(UsageError, match="7 of 12"):
        rerun.settle_losses(more, standing, dict.fromkeys(SCENES, "estimate.tight"), allowed=False)
    with pytest.raises(UsageError, match="6 of 12"):
        rerun.settle_losses(lost, standing, dict.fromkeys(SCENES, "other.tight"), allowed=False)
    assert rerun.settle_losses(more, standing, dict.fromkeys(SCENES, "other.tight"), allowed=True)
    assert rerun.settle_losses({}, standing, dict.fromkeys(SCENES, "other.tight"), allowed=False) == ""
