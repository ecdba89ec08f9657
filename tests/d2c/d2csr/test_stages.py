"""The stages of D2C-SR: which net each one trains, and by which gradients."""

from __future__ import annotations

import pytest
import torch

import d2c
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.stages import ConvergenceStage, DivergenceStage, JointStage, TogetherStage

MODEL = D2CConfig(scale=2, features=6, groups=1, blocks=1, reduction=3, convergence_features=5)
TRAIN = TrainConfig(batch=2, patch=8, lr=1e-3)


@pytest.mark.parametrize(
    ("kind", "frozen"),
    [(DivergenceStage, "convergence"), (ConvergenceStage, "tails"), (JointStage, None), (TogetherStage, None)],
)
def test_each_stage_trains_its_net(kind, frozen):
    model = d2c.D2CSR(MODEL)
    stage = kind(model, TRAIN)
    stage(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16), alpha=0.01)["total"].backward()
    without = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is None}
    assert without == (set() if frozen is None else {"convergence"} if frozen == "convergence" else without)
    if frozen == "tails":
        assert without == {"head", "layers", "residuals", "tails"}


def test_joint_gradients_are_those_of_the_two_stages():
    torch.manual_seed(0)
    lr, hr = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)
    model = d2c.D2CSR(MODEL)
    grads = []
    for stages in ((JointStage,), (DivergenceStage, ConvergenceStage)):
        model.zero_grad()
        found = {}
        for kind in stages:
            kind(model, TRAIN)(lr, hr, alpha=0.01)["total"].backward()
            found |= {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}
        grads.append(found)
    assert grads[0].keys() == grads[1].keys()
    for name, gradient in grads[0].items():
        torch.testing.assert_close(gradient, grads[1][name])


def test_together_both_nets_receive_the_gradient_of_the_fused_output():
    torch.manual_seed(0)
    lr, hr = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)
    model = d2c.D2CSR(MODEL)
    found = TogetherStage(model, TRAIN)(lr, hr, alpha=0.01)
    assert (found["total"] == found["convergence"]).all()
    wanted = torch.autograd.grad((model(lr) - hr).square().mean(), list(model.parameters()))
    for ours, literal in zip(torch.autograd.grad(found["total"], list(model.parameters())), wanted, strict=True):
        torch.testing.assert_close(ours, literal)
