"""Whether HR and LR of a pair show one scene: pairs that do are let pass, exchanged partners are found."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data as pictures

from d2c.data.belonging import KEPT, belongs, check_belonging, likeness
from d2c.data.layouts import Pair
from d2c.data.patches import PixelPair
from d2c.errors import DataError

SIDE = 192


def crops(count=12):
    """Crops of photographs: sets of four from one picture are alike in colours and tones."""
    sources = (pictures.astronaut(), pictures.coffee(), pictures.chelsea())
    rng = np.random.default_rng(1)
    for k in range(count):
        source = sources[k % 3][..., :3]
        y, x = (int(rng.integers(0, n - SIDE + 1)) for n in source.shape[:2])
        yield Image.fromarray(source[y : y + SIDE, x : x + SIDE])


def noisy(image, electrons, rng):
    """Shot and read noise of a small sensor."""
    linear = (np.asarray(image) / 255) ** 2.2 * electrons
    seen = np.clip((rng.poisson(linear) + rng.normal(0, 6, linear.shape)) / electrons, 0, 1)
    return np.rint(255 * seen ** (1 / 2.2)).astype(np.uint8)


def made(kind, scale):
    """HR and LR of each crop, each with noise of its own."""
    rng = np.random.default_rng(2)
    for image in crops():
        if kind == "smooth":
            image = image.filter(ImageFilter.GaussianBlur(6))
        if kind == "dark":
            image = image.point(lambda value: value * 0.15)
        small = image.resize((SIDE // scale, SIDE // scale), Image.Resampling.BICUBIC)
        yield noisy(image, 5000, rng), noisy(small, 5000, rng)


@pytest.mark.parametrize("kind", ["plain", "dark", "smooth"])
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_pairs_pass_and_exchanged_partners_do_not(kind, scale):
    found = list(made(kind, scale))
    assert all(belongs(likeness(hr, lr)) for hr, lr in found)
    exchanged = [likeness(found[i][0], found[j][1]) for i in range(12) for j in range(12) if i != j]
    assert np.mean([not belongs(value) for value in exchanged]) >= 0.95


def test_photographs_of_city100_pass(city100_pairs):
    assert all(belongs(likeness(hr, lr)) for hr, lr in city100_pairs)
    shifted = zip(city100_pairs, city100_pairs[1:] + city100_pairs[:1], strict=True)
    assert not any(belongs(likeness(hr, lr)) for (hr, _), (_, lr) in shifted)


@pytest.fixture
def city100_pairs():
    from pathlib import Path

    from d2crealsr.store.images import read_image

    folder = Path(__file__).parents[4] / "shared" / "data" / "city100"
    if not folder.is_dir():
        pytest.skip("shared/data/city100 is not there")
    names = sorted(path.name[:3] for path in folder.glob("*H.PNG"))[:3]
    return [(read_image(folder / f"{name}H.PNG"), read_image(folder / f"{name}L.PNG")) for name in names]


def test_what_shows_nothing_is_not_refused():
    flat = np.full((64, 64, 3), 90, np.uint8)
    noise = np.random.default_rng(0).integers(88, 92, (64, 64, 3)).astype(np.uint8)
    picture = np.asarray(next(crops(1)).resize((64, 64)))
    assert likeness(flat, flat[::2, ::2]) == 1
    assert belongs(likeness(noise, flat[::2, ::2]))
    assert not belongs(likeness(picture, flat[::2, ::2]))
    assert likeness(picture.astype(np.uint16) * 257, picture[::1]) > 0.99


def test_the_first_ten_are_named_and_what_was_found_is_kept(tmp_path):
    images = [np.asarray(image) for image in crops()]
    pairs = [Pair(name=f"p{k}", hr=tmp_path / f"h{k}", lr=tmp_path / f"l{k}", scale=1, group="") for k in range(12)]
    wrong = [PixelPair(f"p{k}", images[k - 1], images[k]) for k in range(12)]
    kept = tmp_path / KEPT
    names = ", ".join(f"p{k}" for k in range(10))
    with pytest.raises(DataError, match=rf"in 12 of 12 pairs .* one scene: {names} and 2 more;.*--trust-pairs"):
        check_belonging(pairs, wrong, str, kept)
    with pytest.raises(DataError, match="in 12 of 12"):  # without a look at the pixels
        check_belonging(pairs, [], str, kept)
    kept.write_text("[broken")
    check_belonging(pairs, [PixelPair("", image, image) for image in images], str, kept)
    check_belonging(pairs, [], str, kept)
