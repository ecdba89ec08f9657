"""benchmarks/training/knowing_pairs.py: the order of the runs, what is compared with what, and the stored table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.result_tables import read_csv

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

from benchmarks.training import knowing_pairs
from benchmarks.training.kept_rows import numbers
from benchmarks.training.knowing_pairs import CAUSES, NONE, REMEDIES, SETTINGS, SmallNetwork, arms, summary, tasks

RESULTS = Path(knowing_pairs.__file__).parents[1] / "results"

LOST = dict(zip(REMEDIES, (0.4, 0.1, 0.5, 0.3, 0.2), strict=True))


def rows(seeds: int) -> list[dict[str, object]]:
    """A row for each run; the seeds differ much in PSNR and little in what is lost."""
    level = 25 + np.random.default_rng(3).normal(0, 1, seeds)
    return [
        {"scale": arm.scale, "shifted": CAUSES[arm.cause], "hr_px": arm.hr_px, "remedy": arm.remedy, "seed": seed}
        | {"test_db": level[seed] - (LOST[arm.remedy] if arm.hr_px else 0) * (1 + seed / 10), "drift_hr_px": 0.5}
        for arm, seed in tasks(list(SETTINGS), seeds)
    ]


def test_every_arm_has_every_seed_once_and_the_first_seed_comes_first():
    order = list(tasks([8, 2], 3))
    assert len(order) == len(set(order))
    assert [seed for _, seed in order] == sorted(seed for _, seed in order)
    wanted = {arm for scale in SETTINGS for setting in (None, *SETTINGS[scale]) for arm in arms(scale, setting)}
    assert {arm for arm, seed in order if seed == 2} == wanted


def test_losses_are_taken_within_seeds_that_have_all_arms_of_a_setting():
    made = rows(3)
    lines = {(line["scale"], line["shifted"], line["hr_px"], line["remedy"]): line for line in summary(made)}
    weighed = lines[8, CAUSES["random"], 8.0, "weighed"]
    assert weighed["loss_db"] == pytest.approx(0.11)
    assert weighed["returned_db"] == pytest.approx(0.33)
    assert weighed["returned_half_width_db"] == pytest.approx(4.303 * 0.03 / np.sqrt(3), rel=1e-3)
    assert (weighed["resolved"], weighed["seeds"], weighed["drift_hr_px"]) == ("yes", 3, 0.5)
    assert "returned_db" not in lines[8, CAUSES["random"], 8.0, NONE]
    exact = [line for line in lines.values() if not line["hr_px"]]
    assert {line["loss_db"] for line in exact} == {0.0}
    cut = {line["seeds"] for line in summary(made[:-1]) if (line["scale"], line["shifted"]) == (2, CAUSES["constant"])}
    assert cut == {2, 3}  # the last setting lacks a run; exact pairs do not


def test_the_network_starts_at_bicubic_interpolation():
    torch = pytest.importorskip("torch")
    network = SmallNetwork("small")
    lr = torch.rand(1, 3, 9, 8)
    plain = torch.nn.functional.interpolate(lr, scale_factor=2, mode="bicubic", align_corners=False)
    assert torch.equal(network.build(network.config(scale=2))(lr), plain)


def test_the_stored_table_follows_from_its_runs():
    stored = read_csv(RESULTS / "knowing-pairs.csv")
    found = summary([numbers(row) for row in read_csv(RESULTS / "knowing-pairs-runs.csv")])
    for row, again in zip(stored, found, strict=True):
        for name, value in row.items():
            expected = again.get(name, "")
            assert value == expected if isinstance(expected, str) else float(value) == pytest.approx(expected)
