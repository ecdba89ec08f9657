"""Crops weighed by the measured errors of their pairs: the weights, how often crops are drawn, and what is refused."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2c.d2csr.config import TrainConfig
from d2c.data.crop_weights import CropWeights, crop_weights, digest, said
from d2c.data.layouts import find_pairs
from d2c.data.mixture import Mixture, spread_evenly
from d2c.data.patches import CropSource, PixelPair
from d2c.data.travel import as_floats
from d2c.errors import ConfigError

COLUMNS = ["scene", "lr_x", "lr_y", "dx_hr_px", "dy_hr_px", "weight"]


def shares(weights):
    return [each.mean for each in weights]


def measured(folder, blocks, sigma=None, corner=(0, 0)):
    """Give a pairs folder blocks (scene, x, y, dx, dy, confidence), predicted errors by scene, and a crop's corner."""
    pd.DataFrame(blocks, columns=COLUMNS).to_csv(folder / "residuals.csv", index=False)
    table = pd.read_csv(folder / "manifest.csv", dtype={"scene": str})
    table = table.assign(lr_x=corner[0], lr_y=corner[1], sigma_hr_px=table.scene.map(sigma or {}))
    table.to_csv(folder / "manifest.csv", index=False)
    return folder


def weights_of(folder, patch):
    return crop_weights(find_pairs(folder), {"": folder}, patch)


def weighing(*means, size=(4, 4), patch=4):
    """Pairs without blocks, whose crops have these weights."""
    return [CropWeights(size=size, patch=patch, blocks=np.empty((0, 4)), predicted=1 / mean - 1) for mean in means]


def plain(count, side=4):
    """Pairs of one colour, which is their place."""
    return [PixelPair(str(k), *(np.full((side, side, 3), k, np.uint8),) * 2) for k in range(count)]


def places(batch):
    return batch.lr[:, 0, 0, 0].mul(255).round().int().tolist()


def noise(count=5, shape=(9, 7)):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (*shape, 3)).astype(np.uint8) for _ in range(count)]
    return [PixelPair(str(k), lr, lr.repeat(2, 0).repeat(2, 1)) for k, lr in enumerate(images)]


def on_noise(weights, **changes):
    changes = {"batch": 4, "patch": 4, **changes}
    mixture = changes.pop("mixture", None)
    return CropSource(pairs=noise(), scale=2, config=TrainConfig(**changes), mixture=mixture, weights=weights)


def sloped(count=5):
    """Weights for the pairs of noise, which differ from pair to pair and within each."""
    blocks = np.array([[x, y, x * y / 4, 1.0] for x in (1.5, 3.5, 5.5) for y in (1.5, 4.5, 7.5)])
    return [CropWeights(size=(7, 9), patch=4, blocks=blocks, predicted=k / 2) for k in range(count)]


@pytest.mark.parametrize(
    ("scale", "shifts", "sigma", "weight"),
    [
        (2, [(0, 0, 1)], 0, 1),
        (2, [(0.5, 0, 1)], 0, 1 / 2),  # a quarter of an LR pixel
        (2, [(-0.3, 0.4, 1)], 0, 1 / 2),
        (4, [(0.6, -0.8, 1)], 0, 1 / 2),
        (2, [(0, 1, 1)], 0, 1 / 5),
        (2, [(0, 0, 1)], 0.5, 1 / 2),
        (4, [(0, 0, 1)], 0.5, 4 / 5),
        (2, [(0.5, 0, 1)], 1, 1 / 6),
        (2, [(0.5, 0, 1), (0, 1, 0.5)], 0, 1 / 3),  # (1·1 + .5·4) / 1.5 = 2
        (2, [(0.5, 0, 1), (9, 9, 0), (math.nan, 9, 1), (9, math.nan, 1)], 0, 1 / 2),
        (2, [(0.5, 0, 0.2)], 0, 1 / 2),
        (2, [], math.nan, 1),
        (2, [(9, 9, 0)], 0.5, 1 / 2),
    ],
)
def test_a_weight_is_one_over_one_and_the_squared_error_in_quarters_of_an_lr_pixel(
    make_pairs, tmp_path, scale, shifts, sigma, weight
):
    folder = make_pairs(tmp_path, count=2, scale=scale, size=(16, 16))
    blocks = [("000", 4 * k, 8, *shift) for k, shift in enumerate(shifts)]
    measured(folder, [*blocks, ("001", 8, 8, 3, 3, 1)], {"000": sigma})
    found = weights_of(folder, 16)[0]  # there is one crop
    assert found.mean == pytest.approx(weight)
    assert found.at(0, 0) == 1


def test_a_crop_has_the_error_of_its_place_in_the_capture(make_pairs, tmp_path):
    folder = make_pairs(tmp_path, count=1, size=(24, 16))
    centres = [(103.5 + 8 * column, 43.5 + 8 * row) for row in (0, 1) for column in (0, 1, 2)]
    shifts = [(0, 0), (0.5, 0), (0, 1), (0, 0), (0, 0), (0, 1.5)]
    blocks = [("000", *centre, *shift, 1) for centre, shift in zip(centres, shifts, strict=True)]
    found = weights_of(measured(folder, blocks, corner=(100, 40)), 8)[0]
    crops = [found.at(x, y) for y in (0, 8) for x in (0, 8, 16)]
    assert crops == pytest.approx([1, 1 / 2, 1 / 5, 1, 1, 1 / 10])


@pytest.mark.parametrize(("confidence", "weight"), [(0.9, 1 / (1 + 0.9 * 4 / 1.9)), (1, 1 / 5)])
def test_the_whole_pair_speaks_for_a_crop_with_too_few_blocks(make_pairs, tmp_path, confidence, weight):
    folder = make_pairs(tmp_path, count=1, size=(16, 8))
    found = weights_of(measured(folder, [("000", 3.5, 3.5, 1, 0, confidence), ("000", 11.5, 3.5, 0, 0, 1)]), 8)[0]
    assert found.at(0, 0) == pytest.approx(weight)
    assert found.at(8, 0) == 1


def test_the_weight_of_a_pair_is_the_mean_over_its_crops():
    blocks = np.array([[x, y, x * y / 300, 1.0] for x in range(2, 40, 4) for y in range(2, 30, 4)])
    found = CropWeights(size=(40, 30), patch=12, blocks=blocks, predicted=0.0)
    each = [found.at(x, y) for x in range(29) for y in range(19)]
    corner = 1 / (1 + 6 * 6 / 300)  # of the crop that weighs most, of the blocks at 2, 6 and 10
    assert max(each) == found.at(0, 0) == 1
    assert found.mean == pytest.approx(corner * np.mean(each), rel=0.05)
    assert found.mean < 0.7 * corner


def test_blocks_are_those_of_the_pairs_own_dataset(make_pairs, tmp_path):
    folders = {name: make_pairs(tmp_path / name, count=1, size=(8, 8)) for name in "12"}
    measured(folders["1"], [("000", 3.5, 3.5, 0, 1, 1)])
    measured(folders["2"], [("000", 3.5, 3.5, 0.5, 0, 1)], {"000": 0.5})
    pairs = [dataclasses.replace(find_pairs(folders[name])[0], source=name) for name in "21"]
    assert shares(crop_weights(pairs, {**folders, "v": None}, 8)) == pytest.approx([1 / 3, 1 / 5])


def test_the_digest_follows_what_is_measured_and_not_where_it_lies(make_pairs, tmp_path):
    blocks = [("000", 8, 8, 0.5, 0.25, 1), ("001", 8, 8, 0, 0, 1)]
    folder = measured(make_pairs(tmp_path / "a", count=2), blocks, {"000": 0.2})
    first = digest(weights_of(folder, 8))
    assert digest(weights_of(shutil.copytree(folder, tmp_path / "b"), 8)) == first
    others = [digest(weights_of(folder, 9))]
    for changed, sigma, corner in (
        ([("000", 8, 8, 0.5, 0.26, 1), blocks[1]], 0.2, (0, 0)),
        ([("000", 8, 8, 0.5, 0.25, 0.9), blocks[1]], 0.2, (0, 0)),
        (blocks, 0.3, (0, 0)),
        (blocks, 0.2, (1, 0)),
    ):
        others.append(digest(weights_of(measured(folder, changed, {"000": sigma}, corner), 8)))
    assert len({first, *others}) == 6


def test_weights_and_pairs_without_blocks_are_said(make_pairs, tmp_path):
    folder = measured(make_pairs(tmp_path, count=3), [("001", 8, 8, 0, 1, 1), ("002", 8, 8, 0, 0, 1)])
    notes = []
    said(find_pairs(folder), weights_of(folder, 8), notes.append)
    assert notes == [
        "weights of the pairs by their measured errors (1: none): 0.20 to 1.00, mean 0.73; 001 is drawn least",
        "1 pair without measured blocks, which weigh by their predicted error alone: 000",
    ]
    measured(folder, [(name, 8, 8, 0, 1, 1) for name in ("000", "001", "002")])
    said(find_pairs(folder), weights_of(folder, 8), notes.append)
    assert len(notes) == 3


_SHARES = st.lists(st.floats(1e-3, 1), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(_SHARES, st.floats(0, 1, exclude_max=True), st.randoms(use_true_random=False))
def test_an_epoch_uses_each_pair_as_often_as_its_weight_says_but_for_rounding(weights, offset, random):
    order = random.sample(range(len(weights)), len(weights))
    times = Counter(spread_evenly(order, weights, offset))
    assert times.total() == len(weights)
    for place, weight in enumerate(weights):
        assert abs(times[place] - len(weights) * weight / sum(weights)) < 1 + 1e-9


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(30)), st.floats(1e-6, 1), st.floats(1e-9, 1 - 1e-9))
def test_equal_weights_leave_the_order_of_an_epoch(order, weight, offset):
    assert spread_evenly(order, [weight] * 30, offset) == order


def test_over_many_epochs_pairs_are_used_exactly_as_they_weigh():
    weights = [1, 0.8, 0.5, 0.31, 0.1, 0.01]
    times = Counter()
    for epoch in range(1000):
        times.update(spread_evenly([3, 1, 5, 0, 2, 4], weights, (epoch + 0.5) / 1000))
    for place, weight in enumerate(weights):
        assert abs(times[place] - 6000 * weight / sum(weights)) <= 1


def test_batches_have_the_pairs_as_often_as_they_weigh():
    """Of a pair that is due n + f times an epoch, the epochs with one more are binomial with f."""
    means = [1, 1, 0.8, 0.5, 0.5, 0.31, 0.1, 0.01]
    config = TrainConfig(batch=4, patch=4)
    crops = CropSource(pairs=plain(8), scale=1, config=config, weights=weighing(*means))
    times = Counter(place for step in range(300) for place in places(crops.batch(1, step)))
    assert crops.steps_per_epoch == 2
    for place, mean in enumerate(means):
        due = 8 * mean / sum(means)
        assert abs(times[place] - 150 * due) < 4 * math.sqrt(150 * (due % 1) * (1 - due % 1))


def test_crops_of_a_pair_are_drawn_as_often_as_they_weigh():
    from scipy.stats import chisquare

    columns = np.arange(12, dtype=np.uint8)[None, :, None].repeat(4, 0).repeat(3, 2)
    blocks = np.array([[x + 0.5, 2, (x - 3) ** 2 / 4, 1.0] for x in range(12)])
    weights = CropWeights(size=(12, 4), patch=4, blocks=blocks, predicted=0.2)
    crops = CropSource(
        pairs=[PixelPair("a", columns, columns)], scale=1, config=TrainConfig(batch=1, patch=4), weights=[weights]
    )
    times = Counter(int(crops.draw(0, (0, 1, 1, step, 0))[0].min()) for step in range(2000))
    each = np.array([weights.at(x, 0) for x in range(9)])
    assert each.min() < 0.2 < each.max() == 1
    assert chisquare([times[x] for x in range(9)], 2000 * each / each.sum()).pvalue > 0.01


@pytest.mark.parametrize("mixture", [None, Mixture([range(2), range(2, 5)], [1, 3])], ids=["epochs", "shares"])
@pytest.mark.parametrize("blocks", [[], [[1.5, 2.5, 0.7, 0.9], [4.5, 6.5, 0.7, 0.8]]], ids=["predicted", "measured"])
def test_equal_weights_leave_the_batches_as_they_are(mixture, blocks):
    equal = CropWeights(size=(7, 9), patch=4, blocks=np.array(blocks).reshape(-1, 4), predicted=0.3)
    crops, expected = on_noise([equal] * 5, mixture=mixture), on_noise(None, mixture=mixture)
    for stage, step in ((1, 0), (1, 1), (1, 17), (2, 17)):
        for found, wanted in zip(crops.batch(stage, step), expected.batch(stage, step), strict=True):
            assert torch.equal(found, wanted)


def test_other_weights_change_the_pairs_of_an_epoch_and_the_places_of_crops():
    first, *rest = sloped()
    crops, expected = on_noise([first] * 5), on_noise(None)
    pairs_kept, crops_kept = 0, 0
    for step in range(20):
        found, wanted = crops.batch(1, step).lr, expected.batch(1, step).lr
        crops_kept += sum(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
        pairs_kept += torch.equal(found, on_noise([first, *rest]).batch(1, step).lr)
    assert 10 < crops_kept < 70
    assert pairs_kept < 10


def test_patches_of_hr_and_lr_belong_together():
    crops = on_noise(sloped())
    for step in range(10):
        batch = crops.batch(1, step)
        assert torch.equal(batch.hr, batch.lr.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_datasets_keep_their_shares_and_their_pairs_are_used_as_they_weigh():
    members, own = [range(3), range(3, 10)], [1, 0.5, 0.1, *[1] * 6, 0.3]
    mixture = Mixture(members, (3, 1))
    drawn = mixture.pairs((4, 1), 0, 4000, own)
    assert [place < 3 for place in drawn] == [place < 3 for place in mixture.pairs((4, 1), 0, 4000)]
    times = Counter(drawn)
    for dataset, count in zip(members, (3000, 1000), strict=True):
        turns, total = count / len(dataset), sum(own[place] for place in dataset)
        for place in dataset:
            due = len(dataset) * own[place] / total
            assert abs(times[place] - turns * due) < 4 * math.sqrt(turns * (due % 1) * (1 - due % 1)) + 1
    assert [mixture.pairs((4, 1), first, 4, own) for first in range(0, 200, 4)] == [
        drawn[first : first + 4] for first in range(0, 200, 4)
    ]


def test_batches_of_datasets_with_shares_follow_the_weights():
    config, mixture = TrainConfig(batch=4, patch=4), Mixture([range(2), range(2, 5)], [1, 1])
    weights = weighing(1, 0.25, 1, 0.5, 0.5)
    crops = CropSource(pairs=plain(5), scale=1, config=config, mixture=mixture, weights=weights)
    drawn = [place for step in range(150) for place in places(crops.batch(1, step))]
    assert drawn == mixture.pairs((config.seed, 1), 0, 600, shares(weights))
    times = Counter(drawn)
    assert [times[place] for place in range(5)] == pytest.approx([240, 60, 150, 75, 75], abs=20)


def test_raw_batches_become_the_floats_that_a_cpu_cuts():
    crops = on_noise(sloped())
    for step in range(8):
        for found, wanted in zip(as_floats(crops.raw_batch(1, step)), crops.batch(1, step), strict=True):
            assert torch.equal(found, wanted)


def test_processes_share_a_batch():
    crops = on_noise(sloped())
    for step in range(5):
        whole = crops.batch(1, step).lr
        assert torch.equal(whole, torch.cat([on_noise(sloped()).batch(1, step, rank, 2).lr for rank in (0, 1)]))
        raw = [as_floats(crops.raw_batch(1, step, rank, 4)).lr for rank in range(4)]
        assert torch.equal(whole, torch.cat(raw))


def test_pairs_that_were_never_measured_are_refused(make_pairs, tmp_path):
    folder = make_pairs(tmp_path / "plain", count=2)
    (folder / "manifest.csv").unlink()
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"plain/lr/00{k}.png\tplain/hr/00{k}.png\n" for k in range(2)))
    for data in (folder, listed):
        pairs = find_pairs(data)
        assert len(pairs) == 2
        with pytest.raises(ConfigError) as refused:
            crop_weights(pairs, {"": data}, 8)
        assert str(refused.value) == (
            f"weigh-pairs: {data} has no residuals.csv with measured errors; leave --weigh-pairs out, or give the "
            "pairs folder of d2crealsr align, or one in which d2crealsr import has measured these pairs"
        )


@pytest.mark.parametrize(
    "blocks",
    [[], [("000", 8, 8, 0.1, 0, 0)], [("000", 8, 8, math.nan, 0, 1)], [("rejected", 8, 8, 0.1, 0, 1)]],
    ids=["no row", "no confidence", "no shift", "of other scenes"],
)
def test_a_table_without_a_block_of_the_pairs_is_refused(make_pairs, tmp_path, blocks):
    folder = measured(make_pairs(tmp_path, count=2), blocks)
    with pytest.raises(
        ConfigError,
        match=r"^weigh-pairs: .*/residuals\.csv has no block of a pair to train on; leave --weigh-pairs out, or "
        r"measure the pairs: d2crealsr import without --no-audit$",
    ):
        weights_of(folder, 8)
