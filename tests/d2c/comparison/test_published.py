"""The paper's figures stand as it prints them, with what is odd about them."""

from __future__ import annotations

import math

from d2c.comparison.published import COLUMNS, NOTES, published


def test_cells_are_those_of_the_paper():
    assert published("Ours", "D2CRealSR x8")[:2] == (30.55, 0.871)
    assert published("Ours", "RealSR x3") == (31.334, 0.871, ("ours-x3",))
    assert published("RCAN", "DRealSR x2")[:2] == (32.93, 0.889)
    assert published("nobody", "RealSR x2") is None
    assert math.isnan(published("LP-KPN", "DRealSR x4").ssim)


def test_odd_cells_have_their_notes():
    assert published("ESRGAN", "DRealSR x4").notes == ("esrgan", "below-bicubic")
    assert published("CDC", "D2CRealSR x8").notes == ("cdc-ssim",)
    assert published("LP-KPN", "RealSR x4").notes == ("lpkpn-v2",)
    below = [
        (row, column)
        for row in ("SRResNet", "EDSR", "RCAN", "ESRGAN", "CDC")
        for column in COLUMNS
        if "below-bicubic" in published(row, column).notes
    ]
    assert [row for row, column in below if column == "DRealSR x4"] == ["SRResNet", "EDSR", "RCAN", "ESRGAN", "CDC"]
    assert [row for row, column in below if column == "DRealSR x3"] == ["SRResNet", "EDSR", "ESRGAN"]
    assert all(note in NOTES for row in ("SR-Flow", "Bicubic") for c in COLUMNS for note in published(row, c).notes)
