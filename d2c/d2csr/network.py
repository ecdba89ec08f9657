"""D2C-SR: a tree of branches that makes P different predictions, and a net that fuses them into one image.

Li et al., "D2C-SR: A Divergence to Convergence Approach for Image Super-Resolution". The tree for L = C = 2::

                      ┌─ branch 0 ── leaf 0 ── tail 0 ─▶ prediction 0 ─┐
          ┌─ branch 0 ┤                                                │
          │           └─ branch 1 ── leaf 1 ── tail 1 ─▶ prediction 1 ─┤
    head ─┤                                                            ├─▶ weight maps ─▶ weighted sum
          │           ┌─ branch 2 ── leaf 2 ── tail 2 ─▶ prediction 2 ─┤
          └─ branch 1 ┤                                                │
                      └─ branch 3 ── leaf 3 ── tail 3 ─▶ prediction 3 ─┘
    layer 0   layer 1     layer 2

Layer l has C^l branches. The parent of branch j is branch j // C of the previous layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from d2c.d2csr.blocks import Branch
from d2c.d2csr.config import D2CConfig
from d2c.d2csr.convergence import ConvergenceNet
from d2c.d2csr.entry import NETWORK
from d2c.d2csr.grouped_tree import leaf_features_side_by_side
from d2c.errors import CheckpointError
from d2c.networks import network_of
from d2c.tails.frame import predictions_side_by_side
from d2c.tails.layers import RGB_MEAN, ColourLayer, conv3x3
from d2c.tails.siblings import run_side_by_side
from d2c.tails.tail import Tail, compose_tails

if TYPE_CHECKING:
    from os import PathLike

    from torch import Tensor

    from d2c.tails.compose import Kernels

__all__ = ["D2CSR"]


class D2CSR(nn.Module):
    """The whole network.

    Parameters
    ----------
    config : D2CConfig
        Structure of the network.

    Examples
    --------
    >>> import torch
    >>> from d2c import D2CSR, D2CConfig
    >>> model = D2CSR(D2CConfig(scale=2, groups=1, blocks=1, features=8))
    >>> lr = torch.rand(1, 3, 12, 10)
    >>> predictions = model.diverge(lr)
    >>> predictions.shape
    torch.Size([1, 4, 3, 24, 20])
    >>> sr, weights = model.converge(predictions)
    >>> sr.shape, weights.shape
    (torch.Size([1, 3, 24, 20]), torch.Size([1, 4, 24, 20]))
    """

    def __init__(self, config: D2CConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or D2CConfig()
        n, leaves = config.features, range(config.predictions)
        self.colour_in = ColourLayer((-RGB_MEAN[0], -RGB_MEAN[1], -RGB_MEAN[2]))
        self.head = conv3x3(3, n)
        self.layers = nn.ModuleList(
            nn.ModuleList(Branch(config) for _ in range(config.width**layer)) for layer in range(1, config.depth + 1)
        )
        self.residuals = nn.ModuleList(
            nn.ModuleList(conv3x3(n, n) for _ in range(config.depth)) for _ in leaves if config.deep_residual
        )
        self.tails = nn.ModuleList(Tail(n, config.scale, config.borders) for _ in leaves)
        self.colour_out = ColourLayer(RGB_MEAN)
        self.convergence = ConvergenceNet(config)
        NETWORK.note(self, config)

    def leaf_features(self, lr: Tensor) -> list[Tensor]:
        """The input of each leaf's tail: P features ``(N, n, h, w)`` for an image ``(N, 3, h, w)``, RGB in [0, 1]."""
        tree: list[list[Tensor]] = [[self.head(self.colour_in(lr))]]  # layer 0: the shallow feature
        for layer in self.layers:
            parents = tree[-1]
            branches = cast("nn.ModuleList", layer)
            tree.append([branch(parents[j // self.config.width]) for j, branch in enumerate(branches)])
        return [self._deep_residual(leaf, tree) for leaf in range(self.config.predictions)]

    def _deep_residual(self, leaf: int, tree: list[list[Tensor]]) -> Tensor:
        """The feature of a leaf. With the deep residual, each ancestor's feature is added after a convolution."""
        feature = tree[-1][leaf]
        if not self.config.deep_residual:
            return feature
        ancestor = leaf
        for conv, layer in zip(cast("nn.ModuleList", self.residuals[leaf]), reversed(tree[:-1]), strict=True):
            ancestor //= self.config.width
            feature = conv(feature) + layer[ancestor]
        return feature

    def diverge(self, lr: Tensor) -> Tensor:
        """Predictions ``(N, P, 3, s·h, s·w)`` for an image ``(N, 3, h, w)``, RGB in [0, 1]; they are not clipped."""
        if run_side_by_side(lr.device):
            tails = [cast("Tail", tail) for tail in self.tails]
            return predictions_side_by_side(tails, leaf_features_side_by_side(self, lr), self.colour_out)
        features = self.leaf_features(lr)
        kernels: list[Kernels] | list[None] = [None] * len(features)
        if torch.is_grad_enabled() and self.config.scale > 1:
            kernels = compose_tails([cast("Tail", tail) for tail in self.tails], self.colour_out)
        parts = zip(self.tails, features, kernels, strict=True)
        return torch.stack([tail(x, self.colour_out, kernel) for tail, x, kernel in parts], dim=1)

    def converge(self, predictions: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted sum ``(N, 3, H, W)`` of predictions ``(N, P, 3, H, W)``, and the weights ``(N, P, H, W)``."""
        sr, weights = self.convergence(predictions)
        return sr, weights

    def forward(self, lr: Tensor) -> Tensor:
        """The super-resolved image ``(N, 3, s·h, s·w)`` for ``(N, 3, h, w)``, RGB in [0, 1]; it is not clipped."""
        return self.converge(self.diverge(lr))[0]

    @classmethod
    def from_pretrained(cls, where: str | PathLike[str], **options: Any) -> D2CSR:
        """The model of a repository of the Hugging Face Hub, or of a folder; see :func:`d2c.hub.from_pretrained`."""
        from d2c import hub

        model = hub.from_pretrained(where, **options)
        if not isinstance(model, cls):
            name = network_of(model)[0].name
            raise CheckpointError(f"{where}: is of the network {name}, not of d2csr; use d2c.hub.from_pretrained")
        return model

    def save_pretrained(self, folder: str | PathLike[str], **options: Any) -> None:
        """Write weights, configuration and model card to a folder; see :func:`d2c.hub.save_pretrained`."""
        from d2c import hub

        hub.save_pretrained(self, folder, **options)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload weights, configuration and model card to the Hub; see :func:`d2c.hub.push_to_hub`."""
        from d2c import hub

        return hub.push_to_hub(self, repo_id, **options)

    def divergence_parameters(self) -> list[nn.Parameter]:
        """All parameters except those of the convergence net. Stage 1 trains them; in stage 2 they are frozen."""
        return [p for name, p in self.named_parameters() if not name.startswith("convergence.")]

    def convergence_parameters(self) -> list[nn.Parameter]:
        """The parameters of the convergence net, which stage 2 trains."""
        return list(self.convergence.parameters())
