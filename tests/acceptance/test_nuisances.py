"""What can go wrong with a capture, one at a time: what must be aligned all the same, and what must not be accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d2crealsr.align import Alignment, align_pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.simulate import Scene
    from d2crealsr.truth.mapping_error import MappingError


@pytest.mark.parametrize("nuisance", ["distortion-0.5", "distortion-2"])
def test_distortion_of_the_tele_lens_is_found_and_undone(
    mini_scene: Callable[..., Scene], error_of: Callable[[Alignment, Scene], MappingError], nuisance: str
) -> None:
    scene = mini_scene("leaves", 2, nuisance)
    pair = align_pair(scene.hr, scene.lr, refine="radial")
    assert isinstance(pair, Alignment)
    assert pair.accepted, pair.reasons
    assert pair.k1_hr == pytest.approx(scene.truth.session.hr.k1, abs=5e-4)
    assert error_of(pair, scene).mean < 0.15


def test_a_homography_cannot_take_distortion(
    mini_scene: Callable[..., Scene], error_of: Callable[[Alignment, Scene], MappingError]
) -> None:
    """Why the test above says something; QA must see it."""
    scene = mini_scene("leaves", 2, "distortion-2")
    pair = align_pair(scene.hr, scene.lr, refine="homography")
    assert error_of(pair, scene).maximum > 1
    assert not pair.accepted


@pytest.mark.parametrize(
    "nuisance",
    ["tilt", "chromatic-aberration", "halftone-133", "halftone-200", "inkjet", "off-centre", "desk-in-frame"],
)
def test_aligned_all_the_same(
    mini_scene: Callable[..., Scene], error_of: Callable[[Alignment, Scene], MappingError], nuisance: str
) -> None:
    scene = mini_scene("leaves", 2, nuisance)
    pair = align_pair(scene.hr, scene.lr)
    assert isinstance(pair, Alignment)
    assert pair.accepted, pair.reasons
    assert error_of(pair, scene).mean < 0.15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("nuisance", "kind"),
    [
        ("lr-exposure-x4", "leaves"),
        ("lr-exposure-x4", "mixed"),
        ("glare", "leaves"),
        ("glare", "mixed"),
        ("occlusion", "leaves"),
        ("occlusion", "mixed"),
        ("lr-psf", "leaves"),
        ("bowed-card", "leaves"),
        ("low-texture", "leaves"),
        ("repetition", "leaves"),
    ],
)
def test_never_accepted_when_it_is_bad(
    mini_scene: Callable[..., Scene],
    error_of: Callable[[Alignment, Scene], MappingError],
    nuisance: str,
    kind: str,
) -> None:
    """A pair whose worst point is more than one HR px off must not be published; a good one may be."""
    scene = mini_scene(kind, 2, nuisance)
    pair = align_pair(scene.hr, scene.lr)
    assert not isinstance(pair, Alignment) or not pair.accepted or error_of(pair, scene).maximum < 1


@pytest.mark.parametrize(
    "kind", ["leaves", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("mixed", "text"))]
)
def test_another_card_is_never_accepted(mini_scene: Callable[..., Scene], kind: str) -> None:
    scene = mini_scene(kind, 2, "wrong-scene")
    pair = align_pair(scene.hr, scene.lr)
    reasons = pair.reasons if isinstance(pair, Alignment) else (pair.reason,)
    assert {"too_few_matches", "not_same_scene"} & set(reasons)
