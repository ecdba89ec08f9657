"""An animated WebP of pictures in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import PIL.ImageSequence

from d2crealsr.store.animation import write_animation

if TYPE_CHECKING:
    from pathlib import Path


def test_frames_come_back_in_turn_with_their_names_on_them_and_the_same_bytes_again(tmp_path: Path) -> None:
    frames = {"LR": np.full((40, 60, 3), 90, np.uint8), "HR": np.full((40, 60, 3), 200, np.uint8)}
    for name in ("a", "b"):
        write_animation(tmp_path / f"{name}.webp", frames)
    assert (tmp_path / "a.webp").read_bytes() == (tmp_path / "b.webp").read_bytes()
    with PIL.Image.open(tmp_path / "a.webp") as image:
        assert (len(list(PIL.ImageSequence.all_frames(image))), image.info["loop"]) == (2, 0)
        for number, picture in enumerate(frames.values()):
            image.seek(number)
            seen = np.asarray(image.convert("RGB")).astype(int)
            assert image.info["duration"] == 800
            assert abs(seen[:8] - int(picture[0, 0, 0])).max() <= 2
            assert seen[12:, :20].min() < 60  # the dark paper of the name
