"""The public names of the package."""

from __future__ import annotations

import subprocess
import sys

import pytest

import d2crealsr
import d2crealsr.store


def test_public_names_are_sorted_and_there() -> None:
    assert d2crealsr.__all__ == [
        "AlignSettings",
        "Alignment",
        "AlignmentFailure",
        "__version__",
        "align_pair",
        "read_alignment",
        "read_manifest",
        "read_residuals",
    ]
    for name in d2crealsr.__all__:
        assert getattr(d2crealsr, name) is not None
        assert name in dir(d2crealsr)
    for name in d2crealsr.store.__all__:
        assert getattr(d2crealsr.store, name) is not None
        assert name in dir(d2crealsr.store)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'align_pairs'"):
        d2crealsr.align_pairs  # noqa: B018


def test_import_is_light() -> None:
    code = "import sys, d2crealsr; print(sorted({'numpy', 'pandas', 'cv2', 'joblib'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
