"""The branches of a layer and the tails side by side, as on CUDA, against one after the other, as on a CPU."""

from __future__ import annotations

import dataclasses
import sys

import pytest
import torch

from d2c import D2CSR, D2CConfig
from d2c.d2csr.config import TrainConfig
from d2c.d2csr.stages import ConvergenceStage, DivergenceStage, JointStage
from d2c.networks.base.shapes import MemoryWrites, shapes_only
from d2c.tails.siblings import run_siblings, run_side_by_side, stacked

SMALL = D2CConfig(scale=2, features=4, groups=2, blocks=1, reduction=2, convergence_features=4)


def outputs_and_gradients(model, lr, side_by_side):
    with run_siblings(side_by_side=side_by_side):
        predictions = model.diverge(lr)
    wanted = torch.randn(predictions.shape, generator=torch.Generator().manual_seed(1), dtype=lr.dtype)
    gradients = torch.autograd.grad((predictions - wanted).square().sum(), model.divergence_parameters())
    return [predictions.detach(), *gradients]


def assert_equal(config, size, memory_format=torch.contiguous_format):
    torch.manual_seed(0)
    model = D2CSR(config).double().to(memory_format=memory_format)
    model.colour_out.matrix.uniform_()
    lr = torch.rand(2, 3, *size, dtype=torch.float64)
    for ours, theirs in zip(*(outputs_and_gradients(model, lr, way) for way in (True, False)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11 * float(theirs.abs().max()))


@pytest.mark.parametrize("size", [(1, 4), (2, 2), (4, 3)])
@pytest.mark.parametrize("scale", [1, 3, 8])
def test_outputs_and_gradients_are_equal_at_every_scale_and_size(scale, size):
    assert_equal(dataclasses.replace(SMALL, scale=scale, groups=1), size)


@pytest.mark.parametrize("borders", ["exact", "composed"])
@pytest.mark.parametrize("tree", [(1, 1), (1, 3), (3, 1), (2, 3)])
def test_outputs_and_gradients_are_equal_for_every_tree(tree, borders):
    depth, width = tree
    deep = borders == "exact"
    config = dataclasses.replace(SMALL, depth=depth, width=width, groups=1, deep_residual=deep, borders=borders)
    assert_equal(config, (3, 5))


def test_outputs_and_gradients_are_equal_channels_last():
    assert_equal(dataclasses.replace(SMALL, blocks=2), (5, 4), torch.channels_last)


def test_gradients_reach_each_parameter_without_a_copy():
    """They keep the parameter's order in memory, in which they can be parts of one gradient."""
    for memory_format in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        model = D2CSR(SMALL).to(memory_format=memory_format)
        with run_siblings(side_by_side=True):
            model.diverge(torch.rand(1, 3, 5, 4)).square().sum().backward()
        blocks = [layer[j].groups[0].blocks[0] for layer in model.layers for j in (0, 1)]
        for name in ("conv1", "conv2"):
            gradients = [getattr(block, name).weight.grad for block in blocks]
            assert len({gradient.untyped_storage().data_ptr() for gradient in gradients}) == 1
            assert gradients[0].stride() == getattr(blocks[0], name).weight.stride()


def test_parameters_that_are_stacked_have_the_format_of_autocast():
    parameters = [torch.rand(4, 4, 3, 3, requires_grad=True) for _ in range(3)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert stacked([parameters])[0].dtype == torch.bfloat16
        assert stacked([parameters], autocast=False)[0].dtype == torch.float32
    first, second = stacked([parameters[:1], parameters[1:]])
    assert torch.equal(first[0], parameters[0])
    assert torch.equal(second, torch.stack(parameters[1:]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_both_ways_are_near_under_autocast(dtype):
    torch.manual_seed(0)
    model, lr = D2CSR(SMALL), torch.rand(2, 3, 6, 5)
    expected = model.diverge(lr)
    with torch.autocast("cpu", dtype=dtype), run_siblings(side_by_side=True):
        found = model.diverge(lr)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)


def test_a_cpu_runs_them_one_after_the_other_and_cuda_side_by_side():
    assert not run_side_by_side(torch.device("cpu"))
    assert run_side_by_side(torch.device("cuda"))
    with run_siblings(side_by_side=True):
        assert run_side_by_side(torch.device("cpu"))
    assert not run_side_by_side(torch.device("cpu"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [DivergenceStage, ConvergenceStage, JointStage])
def test_a_step_of_the_papers_size_writes_memory_at_most_1200_times(kind, capsys):
    counts = {}
    for side_by_side in (True, False):
        with shapes_only():
            stage = kind(D2CSR(D2CConfig()), TrainConfig())
            lr, hr = torch.empty(4, 3, 96, 96), torch.empty(4, 3, 768, 768)
        with run_siblings(side_by_side=side_by_side), MemoryWrites() as writes:
            stage(lr, hr, alpha=0.01)["total"].backward()
        counts[side_by_side] = writes.total
    with capsys.disabled():
        sys.stdout.write(
            f"\n{kind.kind}: {counts[True]} operators write memory side by side, {counts[False]} in turn\n"
        )
    assert counts[True] <= 1200
    assert counts[True] < counts[False] / 2
