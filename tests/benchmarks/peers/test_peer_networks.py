"""benchmarks/peers/peer_networks.py: networks of others, of their published size and with the same outputs as ours."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

import torch

from benchmarks.peers import peer_networks
from d2c import D2CSR, D2CConfig


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
