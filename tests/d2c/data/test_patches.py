"""The cache and the patches drawn from it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from d2c.d2csr.config import TrainConfig
from d2c.data.cache import CachedPairs, ImageCache
from d2c.data.layouts import Pair
from d2c.data.patches import CropSource, PixelPair, to_tensor
from d2c.errors import ConfigError, D2CError, DataError
from d2crealsr.store import images
from d2crealsr.store.images import write_image


def picture(path, seed=0, dtype=np.uint8, shape=(12, 10, 3)):
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    write_image(path, pixels)
    return pixels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_cache_gives_the_pixels_and_decodes_once(tmp_path, monkeypatch, dtype):
    pixels = picture(tmp_path / "a.png", dtype=dtype)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    cache = ImageCache(tmp_path / "cache")
    seen = []
    found = cache.images([tmp_path / "a.png", tmp_path / "b.png"], progress=lambda *done: seen.append(done))
    for name in "ab":
        mapped = found[tmp_path / f"{name}.png"][1]
        assert isinstance(mapped, np.memmap)
        assert mapped.dtype == dtype
        assert np.array_equal(mapped, pixels)
    assert seen == [(1, 2), (2, 2)]
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1
    monkeypatch.setattr(images, "decode_image", lambda *content: pytest.fail("decoded again"))
    cache.images([tmp_path / "b.png"])


def test_cache_follows_the_content(tmp_path):
    cache = ImageCache(tmp_path / "cache")
    first = picture(tmp_path / "a.png", seed=1)
    before = cache.images([tmp_path / "a.png"])[tmp_path / "a.png"]
    second = picture(tmp_path / "a.png", seed=2)
    after = cache.images([tmp_path / "a.png"])[tmp_path / "a.png"]
    assert before[0] != after[0]
    assert np.array_equal(before[1], first)
    assert np.array_equal(after[1], second)


def test_a_file_that_is_replaced_while_it_is_read_is_stored_under_no_others_name(tmp_path, monkeypatch):
    first, path = picture(tmp_path / "a.png", seed=1), tmp_path / "a.png"
    content = path.read_bytes()
    decode = images.decode_image

    def replaced(*content, **options):
        picture(path, seed=2)
        return decode(*content, **options)

    monkeypatch.setattr(images, "decode_image", replaced)
    digest, pixels = ImageCache(tmp_path / "cache").images([path])[path]
    assert digest == hashlib.sha256(content).hexdigest()
    assert np.array_equal(pixels, first)
    assert path.read_bytes() != content


def test_a_missing_image_is_not_called_a_cache_that_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match=r"a\.png: cannot be read \(No such file"):
        ImageCache(tmp_path / "cache").images([tmp_path / "a.png"])


def test_300_pairs_are_cut_with_128_open_files(tmp_path):
    """An epoch takes a patch of every pair. What other tests left open does not count."""
    resource = pytest.importorskip("resource")
    (tmp_path / "hr").mkdir()
    picture(tmp_path / "lr.png", shape=(4, 4, 3))
    pairs = []
    for k in range(300):
        picture(tmp_path / f"hr/{k}.png", shape=(8, 8, 3), seed=k)
        pairs.append(Pair(name=str(k), lr=tmp_path / "lr.png", hr=tmp_path / f"hr/{k}.png", scale=2, group=str(k)))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    busy = max(int(name) for name in os.listdir("/dev/fd"))  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(128, busy + 100), before[1]))
    try:
        cached = ImageCache(tmp_path / "cache").images(path for pair in pairs for path in (pair.lr, pair.hr))
        crops = CropSource(pairs=CachedPairs(pairs, cached), scale=2, config=TrainConfig(batch=100, patch=4))
        batches = list(crops.batches(1, range(3)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    seen = {patch.sum().item() for batch in batches for patch in batch.hr}
    assert len(seen) > 290


def test_a_cache_that_is_deleted_meanwhile_is_said(tmp_path):
    picture(tmp_path / "a.png")
    found = ImageCache(tmp_path / "cache").images([tmp_path / "a.png"])
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(D2CError, match=r"npy: was removed or damaged while it was in use; run the command again"):
        found[tmp_path / "a.png"]


def test_damaged_cache_files_are_made_again(tmp_path):
    pixels = picture(tmp_path / "a.png")
    cache = ImageCache(tmp_path / "cache")
    digest, _ = cache.images([tmp_path / "a.png"])[tmp_path / "a.png"]
    for content in (b"", b"\x93NUMPY", (tmp_path / f"cache/{digest}.npy").read_bytes()[:-5]):
        (tmp_path / f"cache/{digest}.npy").unlink()
        (tmp_path / f"cache/{digest}.npy").write_bytes(content)
        assert np.array_equal(cache.images([tmp_path / "a.png"])[tmp_path / "a.png"][1], pixels)


def test_cache_errors_are_said(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"b\.png"):
        ImageCache(tmp_path / "cache").images([tmp_path / "b.png"])


FILL = """
import json, sys
from pathlib import Path
import numpy as np
from d2c.data.cache import CachedPairs, ImageCache
paths = [Path(p) for p in sys.argv[2:]]
sys.stdin.readline()  # both start together
found = ImageCache(Path(sys.argv[1])).images(paths)
print(json.dumps({path.name: int(pixels.astype(np.int64).sum()) for path, (_, pixels) in found.items()}))
"""


def _read_only(monkeypatch, folder):
    """A medium that cannot be written, faked: nothing under that folder is created, changed or removed."""
    real = os.open

    def open_(path, flags, *args, **kwargs):
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) and str(path).startswith(str(folder)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", open_)


def test_a_complete_cache_that_cannot_be_written_is_used(tmp_path, monkeypatch):
    pixels = [picture(tmp_path / f"{name}.png", seed=seed) for seed, name in enumerate("ab")]
    cache = ImageCache(tmp_path / "cache")
    cache.images([tmp_path / "a.png"])
    (tmp_path / "cache/.lock").unlink()
    _read_only(monkeypatch, tmp_path / "cache")
    found = cache.images([tmp_path / "a.png"])
    assert np.array_equal(found[tmp_path / "a.png"][1], pixels[0])
    assert not (tmp_path / "cache/.lock").exists()
    with pytest.raises(D2CError, match=r"cache .*: cannot be written \(Read-only file system\); make room, or move it"):
        cache.images([tmp_path / "a.png", tmp_path / "b.png"])


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_in_the_place_of_the_cache_is_wrong_use(tmp_path, place):
    picture(tmp_path / "a.png")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match=r"^cache: .* is no folder; name another one with --cache$"):
        ImageCache(tmp_path / place).images([tmp_path / "a.png"])
    assert (tmp_path / "file").read_text() == "mine"


def test_two_processes_that_start_together_share_the_work(tmp_path):
    paths = [tmp_path / f"{k}.png" for k in range(6)]
    sums = {p.name: int(picture(p, seed=k, shape=(60, 50, 3)).astype(np.int64).sum()) for k, p in enumerate(paths)}
    command = [sys.executable, "-W", "error", "-c", FILL, str(tmp_path / "cache"), *map(str, paths)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    assert [json.loads(worker.communicate(timeout=60)[0]) for worker in workers] == [sums, sums]
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 6
    assert not list((tmp_path / "cache").glob(".tmp-*"))


def source(count=5, scale=2, lr_shape=(9, 7), **changes):
    """Pairs whose HR image is LR blown up, so that a patch shows whether it was cut and turned alike."""
    rng = np.random.default_rng(0)
    pairs = []
    for k in range(count):
        lr = rng.integers(0, 65535, (*lr_shape, 3)).astype(np.uint16)
        pairs.append(PixelPair(f"{k}", lr, lr.repeat(scale, 0).repeat(scale, 1)))
    return CropSource(pairs=pairs, scale=scale, config=TrainConfig(**{"batch": 2, "patch": 4, **changes}))


def test_patches_of_hr_and_lr_belong_together():
    batch = source().batch(1, 3)
    assert batch.lr.shape == (2, 3, 4, 4)
    assert batch.lr.dtype == torch.float32
    assert torch.equal(batch.hr, batch.lr.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_integers_become_floats_on_the_unit_interval():
    assert to_tensor(np.full((2, 2, 3), 255, np.uint8)).max() == 1
    assert to_tensor(np.full((2, 2, 3), 65535, np.uint16)).max() == 1
    green = to_tensor(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))[1]
    torch.testing.assert_close(green, torch.tensor([[1, 4], [7, 10]]) / 255)


def test_batches_depend_on_seed_stage_and_step_only():
    one, other = source(), source()
    other.batch(1, 0)
    for stage, step in ((1, 0), (1, 7), (2, 7)):
        assert torch.equal(one.batch(stage, step).lr, other.batch(stage, step).lr)
    assert not torch.equal(one.batch(1, 7).lr, one.batch(2, 7).lr)
    assert not torch.equal(one.batch(1, 7).lr, source(seed=1).batch(1, 7).lr)


def test_processes_share_a_batch():
    whole = source(batch=4).batch(1, 2)
    parts = [source(batch=4).batch(1, 2, rank, 2) for rank in range(2)]
    assert torch.equal(whole.lr, torch.cat([part.lr for part in parts]))


def test_prefetched_batches_are_the_same():
    drawn = list(source().batches(1, range(3, 8)))
    assert len(drawn) == 5
    for batch, step in zip(drawn, range(3, 8), strict=True):
        assert torch.equal(batch.hr, source().batch(1, step).hr)
    assert not list(source().batches(1, range(4, 4)))


def test_an_epoch_takes_every_pair_once_and_drops_the_rest():
    pairs = [PixelPair(f"{k}", *(np.full((4, 4, 3), k, np.uint8),) * 2) for k in range(7)]
    crops = CropSource(pairs=pairs, scale=1, config=TrainConfig(batch=3, patch=4))
    assert crops.steps_per_epoch == 2
    drawn = [torch.round(crops.batch(1, step).lr[:, 0, 0, 0] * 255).int().tolist() for step in range(8)]
    for epoch in range(4):
        taken = drawn[2 * epoch] + drawn[2 * epoch + 1]
        assert len(set(taken)) == 6
    assert drawn[0] + drawn[1] != drawn[2] + drawn[3]


def test_all_offsets_and_all_eight_turns_occur():
    lr = np.arange(36, dtype=np.uint8).reshape(6, 6)[..., None].repeat(3, 2)
    crops = CropSource(pairs=[PixelPair("a", lr, lr)], scale=1, config=TrainConfig(batch=1, patch=5))
    seen = {tuple(crops.batch(1, step).lr[0, 0].mul(255).round().int().flatten().tolist()) for step in range(400)}
    expected = set()
    for y in (0, 1):
        for x in (0, 1):
            cut = lr[y : y + 5, x : x + 5, 0]
            for turned in (cut, cut.T):
                expected |= {
                    tuple(v.ravel().tolist()) for v in (turned, turned[::-1], turned[:, ::-1], turned[::-1, ::-1])
                }
    assert seen == expected
    plain = CropSource(pairs=[PixelPair("a", lr, lr)], scale=1, config=TrainConfig(batch=1, patch=6, augment=False))
    assert torch.equal(plain.batch(1, 5).lr[0], to_tensor(lr))


def test_too_large_patches_and_too_few_pairs_are_errors():
    with pytest.raises(ConfigError, match="LR image is 7x9, smaller than a patch of 8; use --patch 7 or less"):
        source(patch=8)
    with pytest.raises(DataError, match="5 training pairs do not fill a batch of 6; lower --batch"):
        source(batch=6)


def test_a_pair_of_which_one_image_was_replaced_by_one_of_another_size_is_said():
    pair = PixelPair("a", np.zeros((6, 8, 3), np.uint8), np.zeros((12, 14, 3), np.uint8))
    with pytest.raises(
        DataError, match="a: its HR image is 14x12, expected 2 times the LR image's 8x6; it was replaced"
    ):
        CropSource(pairs=[pair], scale=2, config=TrainConfig(batch=1, patch=4))
