"""Composing by impulses against composing by products, and the tails side by side against each by itself."""

from __future__ import annotations

import pytest
import torch

from d2c.tails.compose import INNER, Step, compose
from d2c.tails.frame import predictions_side_by_side
from d2c.tails.impulses import compose_by_impulses
from d2c.tails.layers import ColourLayer
from d2c.tails.tail import Tail

TAILS, FEATURES = 3, 4


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("factors", [[2], [3], [2, 2], [2, 2, 2], [2, 2, 2, 2], [3, 2]])
def test_impulses_give_the_kernel_that_products_give(factors):
    torch.manual_seed(0)
    n = FEATURES
    steps = [Step(f, random(TAILS, f * f * n, n, 3, 3), random(TAILS, f * f * n)) for f in factors]
    closing = random(TAILS, 3, n, 3, 3), random(TAILS, 3)
    by_products = [kernels[INNER, INNER] for kernels in compose(steps, *closing, edges=False)]
    expected = torch.cat([k.weight for k in by_products]), torch.cat([k.bias for k in by_products])
    found = compose_by_impulses(steps, *closing)
    parameters = [*closing, *(tensor for step in steps for tensor in step[1:])]
    gradients = []
    for kernel in (found, expected):
        for ours, theirs in zip(kernel, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12 * float(theirs.detach().abs().max()))
        gradients.append(torch.autograd.grad(sum(k.square().sum() for k in kernel), parameters))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12 * float(theirs.abs().max()))


@pytest.mark.parametrize("borders", ["exact", "composed"])
@pytest.mark.parametrize("size", [(1, 5), (3, 2), (4, 7)])
@pytest.mark.parametrize("scale", [1, 3, 4])
def test_tails_side_by_side_are_each_tail_by_itself(scale, size, borders):
    torch.manual_seed(0)
    tails = [Tail(FEATURES, scale, borders).double() for _ in range(TAILS)]
    colour = ColourLayer((0.4, 0.5, 0.6)).double()
    colour.matrix.uniform_()
    x = random(2, TAILS * FEATURES, *size)
    found = predictions_side_by_side(tails, x, colour)
    each = zip(tails, x.chunk(TAILS, dim=1), strict=True)
    expected = torch.stack([tail(part, colour) for tail, part in each], dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    parameters = [x, *(p for tail in tails for p in tail.parameters())]
    weights = torch.randn_like(found)
    for ours, theirs in zip(
        *(torch.autograd.grad((weights * made).sum(), parameters) for made in (found, expected)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12 * float(theirs.abs().max()))
