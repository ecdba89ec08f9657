"""The convergence net in bands of rows against the whole: outputs, loss and all gradients."""

from __future__ import annotations

import pytest
import torch

from d2c import D2CConfig
from d2c.d2csr import banded
from d2c.d2csr.banded import banded_convergence_loss, hidden_bytes
from d2c.d2csr.config import TrainConfig
from d2c.d2csr.convergence import HALO, ConvergenceNet
from d2c.d2csr.network import D2CSR
from d2c.d2csr.stages import JointStage
from d2c.losses import convergence_loss


def net(**changes):
    torch.manual_seed(0)
    made = ConvergenceNet(D2CConfig(convergence_features=5, **changes)).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def images(height, width, batch=2):
    generator = torch.Generator().manual_seed(height)
    predictions = torch.rand(batch, 4, 3, height, width, generator=generator, dtype=torch.float64)
    return predictions, torch.rand(batch, 3, height, width, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("options", [{}, {"convergence_bias": False, "convergence_relu": True, "convergence_gain": 1}])
def test_any_rows_are_those_of_the_whole(options):
    module = net(**options)
    predictions, _ = images(9, 5)
    fused, weights = module(predictions)
    for start in range(9):
        for stop in range(start + 1, 10):
            part = predictions[:, :, :, max(0, start - HALO) : stop + HALO]
            if (start and start < HALO) or (stop < 9 and stop + HALO > 9):
                continue  # the halo does not fit: the band is taken from the image's edge
            found = module(part, begins=start == 0, ends=stop == 9)
            torch.testing.assert_close(found[0], fused[:, :, start:stop], rtol=1e-12, atol=1e-13)
            torch.testing.assert_close(found[1], weights[:, :, start:stop], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (40, 7), (61, 5)])
@pytest.mark.parametrize("budget", [1, 3000, 1 << 20])
def test_loss_and_gradients_in_bands_are_those_of_the_whole(monkeypatch, budget, size, layout):
    monkeypatch.setattr(banded, "_CACHE_BYTES", budget)
    module = net().to(memory_format=layout)
    predictions, hr = images(*size, batch=3)
    predictions.requires_grad_()
    expected = convergence_loss(module(predictions)[0], hr)
    found = banded_convergence_loss(module, predictions, hr)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    parameters = [predictions, *module.parameters()]
    wanted = torch.autograd.grad(3 * expected, parameters)
    for ours, literal in zip(torch.autograd.grad(3 * found, parameters), wanted, strict=True):
        torch.testing.assert_close(ours, literal, rtol=1e-9, atol=1e-12)
    bands = list(banded._bands(module, predictions))
    covered = torch.zeros(3, size[0])
    for samples, first, last in bands:
        assert last - first >= min(HALO, size[0])
        covered[samples, first:last] += 1
    assert (covered == 1).all()
    assert (len(bands) > 1) == (budget < 3000 or (size[0] > 20 and budget == 3000))
    assert hidden_bytes(5, *size, 3, torch.device("cpu")) >= size[1] * 4 * 5


def test_frozen_parameters_and_no_gradients():
    module = net()
    module.conv1.requires_grad_(False)
    predictions, hr = images(8, 8)
    loss = banded_convergence_loss(module, predictions, hr)
    loss.backward()
    assert module.conv1.weight.grad is None
    assert module.conv3.weight.grad is not None
    assert predictions.grad is None
    with torch.no_grad():
        assert torch.equal(banded_convergence_loss(module, predictions, hr), loss)


def test_fp16_takes_the_whole_because_its_gradients_are_scaled_first(monkeypatch):
    import d2c.d2csr.stages

    called = []
    monkeypatch.setattr(d2c.d2csr.stages, "banded_convergence_loss", lambda *_: called.append(1) or torch.zeros(()))
    model = D2CSR(D2CConfig(scale=2, features=4, groups=1, blocks=1, reduction=2, convergence_features=5))
    for precision in ("fp32", "bf16", "fp16"):
        stage = JointStage(model, TrainConfig(precision=precision))
        stage(torch.rand(1, 3, 6, 6), torch.rand(1, 3, 12, 12), alpha=0.01)
    assert len(called) == 2
