"""An alignment shows itself in a notebook: two images in turn, the residual field, and numbers."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from d2crealsr import Alignment, opencv
from d2crealsr.types import Crop, ResidualField


def alignment(scale: int = 2, dtype: type = np.uint8, reasons: tuple[str, ...] = (), weight: float = 1.0) -> Alignment:
    peak = np.iinfo(dtype).max
    lr = np.zeros((200, 300, 3), dtype)
    lr[90:110, 140:160] = peak
    hr = np.repeat(np.repeat(lr, scale, axis=0), scale, axis=1)
    points = np.array([[x, y] for y in (50.0, 150.0) for x in (50.0, 150.0, 250.0)])
    shifts = np.zeros((6, 2))
    shifts[0] = (0.5, 0.0)
    field = ResidualField(points_lr=points, shifts_hr_px=shifts, weights=np.full(6, weight), zncc=np.ones(6))
    estimate = SimpleNamespace(placement=SimpleNamespace(scale=scale, crop=Crop(x=3, y=4, width=300, height=200)))
    return Alignment(
        estimate=estimate,
        hr=hr,
        lr=lr,
        residuals=field,
        stages=(),
        statistics={"zncc": 0.98765, "other": 1.0},
        reasons=reasons,
        residual_shape="none",
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_both_images_show_the_same_part_at_full_size(dtype: type) -> None:
    shown = alignment(dtype=dtype)._repr_html_()
    images = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', shown)
    lr, hr = (opencv.decode(base64.b64decode(data)).astype(int) for data in images)
    assert lr.shape == hr.shape == (320, 480, 3)
    assert abs(lr - hr).mean() < 3
    assert hr[150:170, 230:250].mean() > 250, "the square in the middle"


def test_it_is_complete_and_says_the_numbers() -> None:
    shown = alignment(reasons=("clipped", "<b>"))._repr_html_()
    root = ElementTree.fromstring(f"<all>{shown}</all>")
    assert len(root.findall(".//line")) == 6
    text = " ".join(root.itertext())
    for words in ("Alignment, rejected: clipped, <b>", "x2", "300x200 LR px", "0.9877", "longest line is 0.50 HR px"):
        assert words in text
    assert "other" not in text
    line = root.find(".//line")
    assert line is not None
    assert float(line.attrib["x2"]) - float(line.attrib["x1"]) == pytest.approx(100), "one block is as long as a step"
    assert "No block could be measured" in alignment(weight=0.0)._repr_html_()
    assert "script" not in shown


def test_two_in_one_notebook_do_not_share_their_styles() -> None:
    names = {re.search(r"@keyframes (\S+)\{", alignment()._repr_html_())[1] for _ in range(2)}  # type: ignore[index]
    assert len(names) == 2


@pytest.mark.slow
def test_no_package_of_reports_is_needed() -> None:
    code = "import sys, d2crealsr\nd2crealsr.Alignment._repr_html_\n"
    code += "import d2crealsr.imaging.notebook_view\nprint([m for m in ('jinja2', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
