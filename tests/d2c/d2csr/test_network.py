"""The network's structure: sizes, shapes, and the tree read off the outputs' dependence on the branches."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from d2c import D2CSR, D2CConfig
from d2c.errors import ConfigError

SMALL = D2CConfig(scale=2, features=6, groups=1, blocks=1, reduction=3, convergence_features=5, convergence_gain=1.0)


def count(parameters):
    return sum(p.numel() for p in parameters)


def on_meta(**changes):
    with torch.device("meta"):
        return D2CSR(D2CConfig(**changes))


@pytest.mark.parametrize(("scale", "expected"), [(2, 5_132_620), (3, 5_871_180), (4, 5_723_468), (8, 6_314_316)])
def test_divergence_parameters_of_the_baseline(scale, expected):
    assert count(on_meta(scale=scale).divergence_parameters()) == expected


@pytest.mark.parametrize(
    ("n", "groups", "blocks", "expected"),
    [(64, 2, 2, 4_527_852), (64, 2, 1, 3_634_620), (32, 2, 1, 912_612), (16, 2, 1, 230_136), (16, 1, 1, 188_082)],
)
def test_the_papers_sizes(n, groups, blocks, expected):
    model = on_meta(scale=8, features=n, groups=groups, blocks=blocks)
    assert count(model.divergence_parameters()) == expected


def test_convergence_parameters_as_released():
    assert count(on_meta(convergence_bias=False).convergence_parameters()) == 46_080


def test_all_parameters_belong_to_one_of_the_nets():
    model = on_meta()
    assert count(model.parameters()) == count(model.divergence_parameters()) + count(model.convergence_parameters())


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8, 16])
def test_shapes_at_every_scale(scale):
    model = D2CSR(dataclasses.replace(SMALL, scale=scale))
    predictions = model.diverge(torch.rand(2, 3, 5, 4))
    assert predictions.shape == (2, 4, 3, 5 * scale, 4 * scale)
    sr, weights = model.converge(predictions)
    assert sr.shape == (2, 3, 5 * scale, 4 * scale)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, 5 * scale, 4 * scale))


@pytest.mark.parametrize(("depth", "width"), [(1, 1), (1, 3), (2, 1), (3, 2), (2, 3)])
def test_a_branch_reaches_its_own_leaves_only(depth, width):
    torch.manual_seed(0)
    model = D2CSR(dataclasses.replace(SMALL, depth=depth, width=width, deep_residual=False))
    lr = torch.rand(1, 3, 6, 6)
    before = model.diverge(lr)
    assert [len(layer) for layer in model.layers] == [width**level for level in range(1, depth + 1)]
    for level in range(1, depth + 1):
        for j in range(width**level):
            closing = model.layers[level - 1][j].conv.bias
            with torch.no_grad():
                closing += 0.5
                changed = (model.diverge(lr) - before).abs().amax(dim=(0, 2, 3, 4)) > 1e-6
                closing -= 0.5
            leaves = width ** (depth - level)
            assert changed.tolist() == [leaf // leaves == j for leaf in range(width**depth)]


def test_deep_residual_is_the_documented_sum():
    torch.manual_seed(1)
    model = D2CSR(dataclasses.replace(SMALL, depth=3))
    lr = torch.rand(1, 3, 7, 5)
    shallow = model.head(model.colour_in(lr))
    leaf = 5  # its ancestors: branch 2 of layer 2, branch 1 of layer 1
    grandparent = model.layers[0][1](shallow)
    parent = model.layers[1][2](grandparent)
    own = model.layers[2][5](parent)
    a, b, c = model.residuals[leaf]
    expected = c(b(a(own) + parent) + grandparent) + shallow
    torch.testing.assert_close(model.leaf_features(lr)[leaf], expected)


def test_without_deep_residual_the_leaf_goes_straight_to_its_tail():
    model = D2CSR(dataclasses.replace(SMALL, deep_residual=False))
    lr = torch.rand(1, 3, 4, 4)
    shallow = model.head(model.colour_in(lr))
    expected = model.layers[1][3](model.layers[0][1](shallow))
    torch.testing.assert_close(model.leaf_features(lr)[3], expected)
    assert not list(model.residuals)


def test_fused_output_is_equation_8():
    model = D2CSR(SMALL)
    predictions = torch.rand(2, 4, 3, 9, 8)
    sr, weights = model.converge(predictions)
    expected = sum(predictions[:, i] * weights[:, i : i + 1] for i in range(4))
    torch.testing.assert_close(sr, expected)
    x = predictions.reshape(2, 12, 9, 8)
    net = model.convergence
    logits = net.conv3(F.relu(net.conv2(F.relu(net.conv1(x)))))
    torch.testing.assert_close(weights, torch.softmax(logits, dim=1))


def test_last_relu_of_released_weights():
    torch.manual_seed(2)
    config = dataclasses.replace(SMALL, convergence_relu=True, convergence_bias=False)
    net = D2CSR(config).convergence
    predictions = torch.rand(1, 4, 3, 8, 8)
    logits = net.conv3(F.relu(net.conv2(F.relu(net.conv1(predictions.flatten(1, 2))))))
    assert (logits < 0).any()
    torch.testing.assert_close(net.weights(predictions), torch.softmax(F.relu(logits), dim=1))


def test_gain_folds_into_the_first_convolution():
    torch.manual_seed(3)
    gain = 20.0
    net = D2CSR(dataclasses.replace(SMALL, convergence_gain=gain)).convergence.double()
    plain = D2CSR(SMALL).convergence.double()
    mixing = gain * torch.eye(4) + (1 - gain) / 4 * torch.ones(4, 4)  # m + k(x − m) over the predictions
    folded = torch.einsum("opckl,pq->oqckl", net.conv1.weight.unflatten(1, (4, 3)), mixing.double())
    plain.load_state_dict({**net.state_dict(), "conv1.weight": folded.flatten(1, 2)})
    predictions = torch.rand(1, 4, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(net.weights(predictions), plain.weights(predictions))


def test_colour_layers_undo_each_other_and_are_not_trained():
    model = D2CSR(SMALL)
    rgb = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(model.colour_out(model.colour_in(rgb)), rgb)
    names = dict(model.named_parameters())
    assert not any(name.startswith("colour") for name in names)
    assert {"colour_in.matrix", "colour_in.offset", "colour_out.matrix", "colour_out.offset"} <= set(model.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 6}, "scale: got 6"),
        ({"scale": 0}, "scale: got 0"),
        ({"features": 0}, "features: got 0, expected at least 1; change --features"),
        ({"depth": 8, "width": 4}, "65536 predictions"),
    ],
)
def test_impossible_structures_name_the_field(changes, message):
    with pytest.raises(ConfigError, match=message):
        D2CConfig(**changes)


def test_attention_width_is_at_least_one():
    model = D2CSR(dataclasses.replace(SMALL, features=4, reduction=16))
    assert model.layers[0][0].groups[0].blocks[0].attention.squeeze.weight.shape == (1, 4, 1, 1)
