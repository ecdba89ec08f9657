"""What every test process needs before anything heavy is imported: one thread, and no d2c where torch is absent."""

from __future__ import annotations

import importlib.util
import os

import pytest

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

_HAS_TORCH = importlib.util.find_spec("torch") is not None

# The toolkit is tested without torch; the model's modules cannot even be imported then.
collect_ignore_glob = [] if _HAS_TORCH else ["d2c/*", "tests/d2c/*"]


def pytest_configure(config: pytest.Config) -> None:
    """Keep OpenCV to one thread a worker."""
    from d2crealsr import opencv

    opencv.use_one_thread()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is left out."""
    return [] if _HAS_TORCH else ["torch is not installed: d2c and tests/d2c are left out (make install-train)"]
