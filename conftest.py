"""What every test process needs before anything heavy is imported: one thread, and no d2c where torch is absent.

Tests give the same result every time: examples are not drawn at random unless ``--hypothesis-profile=search`` is given
(`make search`), and the order is that of the files unless ``--shuffle`` is.
"""

from __future__ import annotations

import importlib.util
import os
import random
import signal

import pytest
from hypothesis import settings

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

_HAS_TORCH = importlib.util.find_spec("torch") is not None

# The toolkit is tested without torch; the model's modules cannot even be imported then.
collect_ignore_glob = [] if _HAS_TORCH else ["d2c/*"]
if importlib.util.find_spec("spandrel") is None:
    collect_ignore_glob.append("d2c/spandrel/architecture.py")

settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.register_profile("search", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a person look for tests that depend on their order."""
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run the tests in the order that this number draws")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle files and the tests of each, if asked to, alike in every worker.

    A file's tests stay together, for fixtures that they share are made anew when tests of another file come between.
    """
    seed = config.getoption("shuffle")
    if seed is None:
        return
    draw = random.Random(seed)
    files = {item.path: draw.random() for item in items}
    draw.shuffle(items)
    items.sort(key=lambda item: files[item.path])


def pytest_configure(config: pytest.Config) -> None:
    """Keep OpenCV to one thread a worker, and let interrupts through to the commands that are tested."""
    from d2crealsr import opencv

    opencv.use_one_thread()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background, which children inherit
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is left out."""
    return [] if _HAS_TORCH else ["torch is not installed: d2c's tests are left out (make install-train)"]
