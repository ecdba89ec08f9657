"""Training on HR patches that are moved: their crops, every network, what is logged, resuming, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter
from torch import nn

import d2c
from d2c.cli import cli
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.memory import step_memory
from d2c.data.patches import CropSource, PixelPair
from d2c.data.travel import as_floats
from d2c.errors import ConfigError
from d2c.networks import Network, find
from d2c.networks.base.stage import PixelStage, Stage
from d2c.realignment import MARGIN_LR_PX
from d2c.training.memory import step_memories
from d2c.training.stages import with_stages
from d2crealsr.store.images import write_image
from tests.d2c.training.conftest import log_of, same

pytestmark = pytest.mark.usefixtures("memory_is_not_counted")

RUN = {"preset": "tiny", "scale": 2, "batch": 2, "patch": 16, "ema": 0.0, "log_every": 1, "save_every": 1}
RUN |= {"validation": 0.0, "validate_every": 0, "device": "cpu", "threads": 1, "steps": 2, "realign": True}
SMALL = {"network": "edsr", "features": 3, "blocks": 1}
COLUMN = "realigned_hr_px"


def run(data, out, reporter=None, **changes):
    return d2c.train(data, out, reporter=reporter, **{**RUN, "cache": out.parent / "cache", **changes})


def source(scale=2, size=(13, 11), *, dtype=np.uint8, **changes):
    """Pairs whose LR pixels have their row, column and pair as colours, and whose HR pixels have those of LR."""
    height, width = size
    pairs = []
    for k in range(4):
        rows, columns = np.mgrid[:height, :width]
        lr = np.stack([10 * rows, 10 * columns, np.full_like(rows, k)], axis=-1).astype(dtype)
        pairs.append(PixelPair(f"{k}", lr, lr.repeat(scale, 0).repeat(scale, 1)))
    return CropSource(
        pairs=pairs, scale=scale, config=TrainConfig(**{"batch": 4, "patch": 5, "realign": True, **changes})
    )


@pytest.mark.parametrize("scale", [1, 2, 3, 8])
def test_lr_belongs_to_hr_without_its_margin_however_it_is_turned(scale):
    crops, margin = source(scale), MARGIN_LR_PX * scale
    turned = 0
    for step in range(12):
        batch = crops.batch(1, step)
        side = scale * (5 + 2 * MARGIN_LR_PX)
        assert (batch.lr.shape, batch.hr.shape) == ((4, 3, 5, 5), (4, 3, side, side))
        inner = batch.hr[..., margin:-margin, margin:-margin]
        assert torch.equal(inner, batch.lr.repeat_interleave(scale, 2).repeat_interleave(scale, 3))
        for patch in batch.hr.mul(255).round():
            assert len(patch[0].unique()) == len(patch[1].unique()) == 5 + 2 * MARGIN_LR_PX, (
                "all around it is the image"
            )
            turned += int(patch[0, 0, 0] != patch[0, 0, -1])
    assert 0 < turned < 48


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_raw_batches_have_the_same_pixels(dtype):
    crops = source(dtype=dtype)
    for step in range(6):
        batch, floats = crops.batch(1, step), as_floats(crops.raw_batch(1, step))
        assert torch.equal(floats.lr, batch.lr)
        assert torch.equal(floats.hr, batch.hr)


def test_every_place_with_room_around_it_is_drawn_and_no_other():
    crops = source(augment=False)
    corners = [patch[:2, 0, 0] * 25.5 for step in range(60) for patch in crops.batch(1, step).lr]
    assert {tuple(corner.round().int().tolist()) for corner in corners} == {
        (y, x) for y in range(2, 7) for x in range(2, 5)
    }


def test_an_image_without_room_for_the_margin_is_said():
    assert source(patch=7).batch(1, 0).hr.shape[-1] == 2 * 11
    with pytest.raises(
        ConfigError,
        match=r"^0: its LR image is 11x13, smaller than a patch of 8 and the 2 LR px on each side that --realign "
        r"needs; use --patch 7 or less$",
    ):
        source(patch=8)
    with pytest.raises(ConfigError, match="patch of 1 and the 2 LR px on each side that --realign needs; leave it out"):
        source(size=(4, 9), patch=1)
    assert source(patch=8, realign=False).batch(1, 0).hr.shape[-1] == 16


KINDS = {name: {} for name in ("edsr", "srresnet", "rcan", "rrdb", "swinir", "cdc", "lpkpn")}
KINDS |= {"d2csr": {"steps_convergence": 2, "steps_together": 2}, "joint": {"network": "d2csr", "joint": True}}


@pytest.mark.parametrize("kind", KINDS)
def test_every_network_trains_with_it_and_logs_how_far_hr_was_moved(kind, pairs, tmp_path):
    run(pairs, tmp_path / "run", **{"network": kind, **KINDS[kind]})
    rows = log_of(tmp_path / "run")
    stages = {"d2csr": 3}.get(kind, 1)
    assert [(int(row["stage"]), int(row["step"])) for row in rows] == [
        (k + 1, n) for k in range(stages) for n in (1, 2)
    ]
    assert all(0 <= float(row[COLUMN]) <= 1.5 * 2 for row in rows)
    assert all(np.isfinite(float(row["total"])) for row in rows)


def test_nothing_is_logged_without_it(pairs, tmp_path):
    run(pairs, tmp_path / "run", realign=False, **SMALL)
    assert COLUMN not in log_of(tmp_path / "run")[0]


def test_the_flow_of_srflow_is_refused(pairs, tmp_path):
    flow = {"network": "srflow", "scale": 4, "patch": 4}
    said = r"^realign: stage 2 of srflow, FlowStage, does not align HR with a prediction; leave --realign out, or "
    said += r"train stage 1 with it \(--stage 1\) and this one in a new run without it \(--weights RUN --stage 2 "

    for stage in ({}, {"stage": "2"}):
        with pytest.raises(ConfigError, match=said):
            run(pairs, tmp_path / "run", **flow, **stage)


def test_the_encoder_of_srflow_trains_alone(make_pairs, tmp_path):
    data = make_pairs(tmp_path / "pairs", count=3, scale=4, size=(24, 24))
    run(data, tmp_path / "run", network="srflow", scale=4, stage="1")
    assert [bool(row[COLUMN]) for row in log_of(tmp_path / "run")] == [True, True]


class Plain(Stage):
    """Compares HR as it is."""

    def forward(self, lr, hr, **weights):
        return {"total": F.mse_loss(self.upscaled(lr), hr)}


class Targeting(Plain):
    """Compares HR as it is moved."""

    realigns = True

    def forward(self, lr, hr, **weights):
        sr = self.upscaled(lr)
        return super().forward(lr, self.target(sr, hr))


class OwnPixels(PixelStage):
    """Another forward than that of its parent."""

    forward = Plain.forward


def test_a_stage_with_another_forward_does_not_inherit_that_hr_is_moved(pairs, tmp_path):
    assert PixelStage.realigns
    assert not OwnPixels.realigns
    with pytest.raises(ConfigError, match="stage 1 of edsr, OwnPixels, does not align HR"):
        run(pairs, tmp_path / "run", loss=OwnPixels, **SMALL)


def test_a_stage_that_says_so_and_takes_hr_as_it_is_is_refused():
    def cut(self, lr, hr, **weights):
        return Plain.forward(self, lr, hr[..., 16:-16, 16:-16])

    careless = type("Careless", (Plain,), {"forward": cut, "realigns": True})
    network = find("edsr")
    tiny, train = network.preset("tiny").model, network.train(patch=8, batch=2, realign=True)
    with pytest.raises(ConfigError, match=r"Careless that says realigns = True, but does not take HR from target"):
        step_memories(with_stages(network, [careless]), tiny, train, "all", torch.device("cpu"))


def test_a_loss_of_ones_own_gets_hr_that_was_moved(pairs, tmp_path):
    seen = []

    def loss(sr, hr):
        seen.append((sr.shape, hr.shape, hr.requires_grad))
        return F.mse_loss(sr, hr)

    run(pairs, tmp_path / "run", loss=loss, **SMALL)
    assert set(seen) == {((2, 3, 32, 32), (2, 3, 32, 32), False)}
    assert log_of(tmp_path / "run")[0][COLUMN]


def test_a_stage_of_ones_own_has_to_say_that_it_moves_hr(pairs, tmp_path):
    run(pairs, tmp_path / "run", loss=Targeting, **SMALL)
    assert log_of(tmp_path / "run")[0][COLUMN]
    with pytest.raises(ConfigError) as refused:
        run(pairs, tmp_path / "plain", loss=Plain, **SMALL)
    assert str(refused.value) == (
        "realign: stage 1 of edsr, Plain, does not align HR with a prediction; leave --realign out"
    )


def test_too_small_images_are_said_in_one_line(pairs, tmp_path):
    words = ["train", "--data", pairs, "--out", tmp_path / "run", "--network", "edsr", "--preset", "tiny", "--scale", 2]
    words += ["--patch", 18, "--batch", 2, "--device", "cpu", "--realign", "--cache", tmp_path / "cache"]
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 2
    assert "smaller than a patch of 18 and the 2 LR px on each side that --realign needs; use --patch 16" in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize("changes", [{}, {"accumulate": 2}, {"precision": "bf16"}])
def test_a_resumed_run_ends_with_the_same_bits(displaced, tmp_path, changes):
    whole = run(displaced, tmp_path / "whole", steps=5, **SMALL, **changes)
    run(displaced, tmp_path / "run", steps=2, **SMALL, **changes)
    assert same(run(displaced, tmp_path / "run", steps=5, **SMALL, **changes), whole)
    assert log_of(tmp_path / "run")[-1][COLUMN] == log_of(tmp_path / "whole")[-1][COLUMN]
    assert not same(run(displaced, tmp_path / "plain", steps=5, **SMALL, **changes, realign=False), whole)


def test_a_run_is_not_resumed_without_it(displaced, tmp_path):
    run(displaced, tmp_path / "run", **SMALL)
    with pytest.raises(ConfigError, match=r"its run has train\.realign = True, now it is False"):
        run(displaced, tmp_path / "run", **SMALL, realign=False)


class Doubling(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, lr):
        return self.gain * lr.repeat_interleave(2, 2).repeat_interleave(2, 3)


class Perfect(Network):
    """Knows from the start what the HR images below are."""

    reach = 0

    def build(self, config):
        return Doubling()


@pytest.fixture(scope="module")
def displaced(tmp_path_factory):
    """Pairs of which each HR image has what :class:`Perfect` makes of LR, one LR px further right and below."""
    folder = tmp_path_factory.mktemp("displaced")
    rng = np.random.default_rng(0)
    for k in range(4):
        lr = gaussian_filter(rng.normal(0, 1, (28, 30, 3)), (1.5, 1.5, 0), mode="wrap")
        lr = np.rint(np.clip(128 + 50 / lr.std() * lr, 0, 255)).astype(np.uint8)
        hr = np.roll(lr.repeat(2, 0).repeat(2, 1), (2, 2), axis=(0, 1))
        for kind, pixels in (("lr", lr), ("hr", hr)):
            (folder / "train" / kind).mkdir(parents=True, exist_ok=True)
            write_image(folder / "train" / kind / f"{k}.png", pixels)
    return folder


def test_a_perfect_network_has_next_to_no_loss_on_displaced_pairs(displaced, tmp_path):
    options = {"network": Perfect, "preset": None, "lr": 0.0, "trust_pairs": True, "steps": 6}
    for realign in (True, False):
        run(displaced, tmp_path / f"{realign}", realign=realign, **options)
    losses, plain = ([float(row["total"]) for row in log_of(tmp_path / name)] for name in ("True", "False"))
    lengths = [float(row[COLUMN]) for row in log_of(tmp_path / "True")]
    assert lengths == pytest.approx([8**0.5] * 6, rel=0.02)
    assert max(losses) < 0.1 * min(plain)


def test_accumulated_pieces_of_a_batch_log_the_mean_of_what_they_moved(displaced, tmp_path):
    for name, accumulate in (("whole", 1), ("pieces", 2)):
        run(displaced, tmp_path / name, accumulate=accumulate, network=Perfect, preset=None, lr=0.0)
    whole, pieces = ([float(row[COLUMN]) for row in log_of(tmp_path / name)] for name in ("whole", "pieces"))
    assert pieces == pytest.approx(whole, rel=1e-4)


def test_the_margin_costs_memory():
    for kind in ("stage 1", "stage 2", "joint", "together"):
        plain, wide = (
            step_memory(D2CConfig(scale=8), TrainConfig(batch=2, patch=32, realign=on), kind, torch.device("cpu")).total
            for on in (False, True)
        )
        assert 0 <= wide - plain - 4 * 2 * 3 * (8 * 36) ** 2 < 0.5 * plain
