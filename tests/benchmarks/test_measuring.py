"""A child's peak memory is its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
CHILD = """
from benchmarks.measuring import begin_peak, peak_bytes
big = bytearray(60_000_000)
del big
before = begin_peak()
held = bytearray(40_000_000)
print(peak_bytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system has no /proc/self/clear_refs")
def test_a_peak_holds_neither_what_the_parent_had_nor_what_came_before():
    held = np.ones(40_000_000)  # 320 MB, which ru_maxrss of the child would begin with
    done = subprocess.run([sys.executable, "-c", CHILD], cwd=ROOT, check=True, capture_output=True, text=True)
    assert held.all()
    assert int(done.stdout) == pytest.approx(40e6, rel=0.1)
