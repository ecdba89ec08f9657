"""Real postcards, real optics: City100 as it is, and semi-real captures made of it whose truth is known.

The data is not part of the repository: ``D2CREALSR_CITY100`` says where it lies.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from d2crealsr import opencv
from d2crealsr.align import Alignment, align_pair
from d2crealsr.command.cli import main
from d2crealsr.imaging import photometry
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.pairs import read_manifest
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.truth.mapping_error import MappingError
    from d2crealsr.types import Image, Matrix

REPOSITORY = Path(__file__).resolve().parents[2]
CITY100 = Path(os.environ.get("D2CREALSR_CITY100", REPOSITORY / "../shared/data/city100"))

pytestmark = pytest.mark.skipif(
    not (CITY100 / "010H.PNG").is_file(), reason=f"City100 is not in {CITY100}; set D2CREALSR_CITY100"
)

H_MOVE = np.array([[0.9848, -0.0197, 23.3], [0.0197, 0.9848, -8.6], [4e-6, -3e-6, 1.0]])
"""How the semi-real LR camera sees what the other saw: turned by 1.1°, a little smaller, aside and askew."""


def capture(scene: str, side: str) -> Image:
    return read_image(CITY100 / f"{scene}{side}.PNG")


def moved_and_reduced(image: Image, scale: int) -> Image:
    """A capture as a camera of fewer pixels would have taken it: moved, then averaged in blocks, in linear light."""
    size = Size(*(side // scale * scale for side in (image.shape[1], image.shape[0])))
    light = photometry.to_linear(image, "srgb")
    moved = opencv.warp(light, np.linalg.inv(H_MOVE), size, "lanczos4")
    blocks = moved.reshape(size.height // scale, scale, size.width // scale, scale, 3)
    return photometry.quantised(blocks.mean(axis=(1, 3), dtype=np.float32), "srgb", image.dtype)


def truth(scale: int) -> Matrix:
    reduce = np.array([[1 / scale, 0, (1 / scale - 1) / 2], [0, 1 / scale, (1 / scale - 1) / 2], [0, 0, 1]])
    H: Matrix = reduce @ H_MOVE
    return H / H[2, 2]


def error(
    error_against: Callable[..., MappingError], hr: Image, source: Image, scale: int
) -> tuple[Alignment, MappingError]:
    lr = moved_and_reduced(source, scale)
    pair = align_pair(hr, lr, scale=scale)
    sizes = [(image.shape[1], image.shape[0]) for image in (hr, lr)]
    return pair, error_against(pair, truth(scale), *sizes)


@pytest.mark.slow
def test_same_size_pairs_through_the_command(tmp_path: Path) -> None:
    """The middle of two scenes at --scale 1: they are aligned already, and stay where they are."""
    for name in ("010H", "010L", "090H", "090L"):
        middle = capture(name[:3], name[3])[255:615, 349:869]
        write_image(tmp_path / "raw" / f"{name}.PNG", np.ascontiguousarray(middle))
    arguments = ["align", str(tmp_path / "raw"), "--out", str(tmp_path / "pairs"), "--scale", "1"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    table = read_manifest(tmp_path / "pairs").set_index("scene")
    assert table["status"].to_dict() == {"010": "accepted", "090": "accepted"}, table["message"].tolist()
    assert table["residual_p50_hr_px"].max() < 0.4
    assert table["residual_p95_hr_px"].max() < 1.5
    assert (table[["lr_width", "lr_height"]] > [500, 340]).all(axis=None)  # at scale 1 as much as fits is kept
    corners = np.array([[0, 0, 1], [519, 0, 1], [0, 359, 1], [519, 359, 1]])
    for _, row in table.iterrows():
        H = np.array([[row[f"h{i}{j}"] for j in range(3)] for i in range(3)], dtype=float)
        mapped = corners @ H.T
        assert np.abs(mapped[:, :2] / mapped[:, 2:] - corners[:, :2]).max() < 1
        hr, lr = (read_image(tmp_path / "pairs" / row[f"{side}_path"]) for side in ("hr", "lr"))
        assert hr.shape == lr.shape


@pytest.mark.slow
def test_a_whole_pair_is_accepted_and_known_the_other_way_round() -> None:
    """Of its 1,800 blocks some are off by more than a pixel, as in every photograph: that alone rejects nothing."""
    right, exchanged = (align_pair(capture("001", hr), capture("001", lr), scale=1) for hr, lr in ("HL", "LH"))
    assert isinstance(right, Alignment)
    assert right.reasons == ()
    assert isinstance(exchanged, Alignment)
    assert "hr_not_sharper" in exchanged.reasons


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scene", "scale"),
    [("010", 4), ("016", 4), ("033", 4), ("060", 4), ("060", 2)],
)
def test_semi_real_captures(error_against: Callable[..., MappingError], scene: str, scale: int) -> None:
    """City100's LR moved and reduced, against its HR: true up to what City100's authors left, in its own px."""
    pair, found = error(error_against, capture(scene, "H"), capture(scene, "L"), scale)
    assert pair.accepted, pair.reasons
    assert found.mean < 0.5


def test_where_half_is_sky_the_pair_is_not_vouched_for(error_against: Callable[..., MappingError]) -> None:
    """Nothing holds the estimate there, and City100's own HR and LR are .5 px apart in it."""
    pair, found = error(error_against, capture("020", "H"), capture("020", "L"), 4)
    assert 0.3 < found.mean < 0.7
    assert pair.reasons == ("position_uncertain", "residual_too_large")
    assert pair.statistics["residual_side_hr_px"] > 0.3


@pytest.mark.parametrize(("scene", "scale"), [("010", 4), ("020", 4), ("060", 4), ("033", 4)])
def test_its_hr_moved_and_reduced(error_against: Callable[..., MappingError], scene: str, scale: int) -> None:
    """Exact truth on real texture."""
    hr = capture(scene, "H")
    pair, found = error(error_against, hr, hr, scale)
    assert pair.accepted, pair.reasons
    assert found.mean < 0.05
    assert found.maximum < 0.1
