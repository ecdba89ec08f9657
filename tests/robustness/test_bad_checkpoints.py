"""Hostile checkpoints through d2c's commands, in short: no traceback, nothing run, no memory taken."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from click.testing import CliRunner

from tests.robustness import bad_checkpoints


@pytest.mark.slow
def test_every_sixth_case() -> None:
    result = CliRunner().invoke(bad_checkpoints.main, ["--small"])
    assert result.exit_code == 0, result.output
    assert "0 not as they should be" in result.output
