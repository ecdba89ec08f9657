"""benchmarks/model_speed.py: the networks it compares with, and that it runs."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import peer_networks
from d2c import D2CSR, D2CConfig

PROGRAM = Path(__file__).parents[3] / "benchmarks" / "model_speed.py"


@pytest.mark.parametrize(("name", "scale"), peer_networks.PUBLISHED_PARAMETERS)
def test_peers_have_their_published_sizes(name, scale):
    with torch.device("meta"):
        network = {"RCAN": peer_networks.RCAN, "EDSR": peer_networks.EDSR}[name](scale)
    count = sum(p.numel() for p in network.parameters())
    assert count == peer_networks.PUBLISHED_PARAMETERS[name, scale]
    assert network(torch.rand(1, 3, 5, 4, device="meta")).shape == (1, 3, 5 * scale, 4 * scale)


@pytest.mark.parametrize("scale", [2, 3, 8])
@pytest.mark.parametrize("released", [False, True])
def test_the_factored_network_computes_the_same(scale, released):
    options = {"convergence_bias": False, "convergence_relu": True, "convergence_gain": 1.0} if released else {}
    torch.manual_seed(0)
    model = D2CSR(D2CConfig(scale=scale, features=6, groups=1, blocks=1, reduction=3, **options)).double()
    factored = peer_networks.Factored(model.config).double()
    factored.load_state_dict(model.state_dict())
    lr = torch.rand(2, 3, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(factored(lr), model(lr), rtol=1e-12, atol=1e-13)


@pytest.mark.slow
def test_it_runs_small(tmp_path):
    tasks = [argument for name in ("stage 1", "stage 2", "joint, two passes") for argument in ("--task", name)]
    command = [sys.executable, str(PROGRAM), "--small", "--no-memory", *tasks, "--out", str(tmp_path / "table")]
    subprocess.run(command, check=True, capture_output=True)
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["network"] for row in rows if row["task"] == "stage 1"] == ["d2c", "factored", "d2c, composed borders"]
    assert all(float(row["seconds"]) > 0 and float(row["gmacs"]) > 0 for row in rows)
    assert "versions:" in (tmp_path / "table.txt").read_text()
