"""Run the tree of branches in bands of LR rows. It gives the features of ``D2CSR.leaf_features`` with little memory.

Channel attention needs the means of a whole feature map before any pixel can be scaled. Each attention block is
therefore one sweep over the image. The sweep completes the previous block (``x + attention · residual``, whose means
are known by then), computes the residual of its own block, stores both, and sums the residual in double precision.
Convolutions receive the rows that they need of neighbouring bands, and zeros only at the edge of the image, so the
result is that of the whole image except for rounding. A sweep reads each row once, so maps are overwritten in place,
and a branch needs three of them. Branches are processed depth first, so that a map exists only while its subtree is
processed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import torch
import torch.nn.functional as F

from d2c.device import at_least_fp32

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from d2c.d2csr.blocks import Branch
    from d2c.d2csr.config import D2CConfig
    from d2c.d2csr.network import D2CSR
    from d2c.inference.spill import FeatureMap, FeatureMaps
    from d2c.networks.base.attention import AttentionBlock, ResidualGroup

    Progress: TypeAlias = Callable[[int], None]

__all__ = ["leaf_feature_maps", "maps_alive", "sweeps_in"]


class _Sum(NamedTuple):
    """The feature map ``base + scale · residual``, which is not stored; ``scale`` is (1, n, 1, 1)."""

    base: FeatureMap
    residual: FeatureMap | None = None
    scale: Tensor | None = None

    def read(self, first: int, last: int, out: Tensor) -> None:
        """Fill ``out`` (1, n, ·, w) with the map's rows ``first`` to ``last``."""
        rows = self.base.read(first, last)
        if self.residual is None:
            out.copy_(rows)
        else:
            torch.addcmul(rows, self.residual.read(first, last), cast("Tensor", self.scale), out=out)

    def release(self, first: int, last: int) -> None:
        self.base.release(first, last)
        if self.residual is not None:
            self.residual.release(first, last)


class _Band(NamedTuple):
    """Rows ``start`` to ``stop`` of a map. ``rows`` (1, n, ·, w) has ``halo`` more on each side, 0 off the image."""

    start: int
    stop: int
    halo: int
    rows: Tensor

    def own(self) -> Tensor:
        return self.rows[:, :, self.halo : self.halo + self.stop - self.start]

    def blank(self, height: int) -> None:
        """Set rows outside an image of that ``height`` to zero."""
        self.rows[:, :, : max(0, self.halo - self.start)] = 0
        self.rows[:, :, height - self.start + self.halo :] = 0


def sweeps_in(config: D2CConfig) -> int:
    """Number of sweeps over the image for the whole tree."""
    branches = sum(int(config.width**layer) for layer in range(1, config.depth + 1))
    residuals = config.predictions * config.depth if config.deep_residual else 0
    return 1 + branches * (config.groups * (config.blocks + 1) + 1) + residuals


def maps_alive(config: D2CConfig) -> int:
    """Number of feature maps at the body's peak, in the last leaf: other leaves, all ancestors, working maps."""
    return config.predictions - 1 + config.depth + (3 if config.groups > 1 else 2)


@torch.inference_mode()
def leaf_feature_maps(
    model: D2CSR, lr: Tensor, maps: FeatureMaps, band: int, progress: Callable[[], None] = lambda: None
) -> list[FeatureMap]:
    """The inputs of the leaves' tails, P maps, for an image ``(1, 3, h, w)``, RGB in [0, 1], made in bands of rows.

    ``progress`` is called after every sweep.
    """
    sweep = _Sweep(model, maps, lr.shape[2], band, progress)
    head = sweep.head(lr)
    leaves = list(sweep.subtree(0, 0, [head]))
    maps.give_back(head)
    maps.forget()
    return leaves


class _Sweep:
    def __init__(self, model: D2CSR, maps: FeatureMaps, height: int, band: int, progress: Callable[[], None]) -> None:
        self.model, self.maps, self.height, self.band, self.progress = model, maps, height, band, progress

    def head(self, lr: Tensor) -> FeatureMap:
        """The shallow feature."""
        head = self.maps.take()
        for start in range(0, self.height, self.band):
            stop = min(self.height, start + self.band)
            above, below = int(start == 0), int(stop == self.height)
            rows = self.model.colour_in(lr[:, :, start - 1 + above : stop + 1])
            band = _Band(start, stop, 1, F.pad(rows, (0, 0, above, below)))
            head.write(start, self._convolve(self.model.head, band).own())
            head.release(start, stop)
        self.progress()
        return head

    def subtree(self, layer: int, node: int, ancestors: list[FeatureMap]) -> Iterator[FeatureMap]:
        """The leaves below a node, in order. ``ancestors`` are the features from the head to that node."""
        config = self.model.config
        branches = cast("nn.ModuleList", self.model.layers[layer])
        for child in range(node * config.width, (node + 1) * config.width):
            feature = self.branch(cast("Branch", branches[child]), ancestors[-1])
            if layer + 1 == config.depth:
                if config.deep_residual:
                    self.deep_residual(child, feature, ancestors)
                yield feature
            else:
                yield from self.subtree(layer + 1, child, [*ancestors, feature])
                self.maps.give_back(feature)

    def branch(self, branch: Branch, parent: FeatureMap) -> FeatureMap:
        """The feature of a branch. The parent's feature is not changed."""
        residual, entry = self.maps.take(), parent
        for group in branch.groups:
            out = self.group(cast("ResidualGroup", group), entry, residual)
            if entry is not parent:
                self.maps.give_back(entry)
            entry = out
        self.maps.give_back(residual)
        for band in self._bands(_Sum(entry), 1):
            self._store(entry, self._convolve(branch.conv, band))
        self.progress()
        return entry

    def deep_residual(self, leaf: int, feature: FeatureMap, ancestors: list[FeatureMap]) -> None:
        """Add each ancestor's feature, after a convolution, to a leaf's feature in place."""
        convs = cast("nn.ModuleList", self.model.residuals[leaf])
        for conv, ancestor in zip(convs, reversed(ancestors), strict=True):
            for band in self._bands(_Sum(feature), 1):
                self._store(feature, self._convolve(cast("nn.Conv2d", conv), band), add=ancestor)
            self.progress()

    def group(self, group: ResidualGroup, entry: FeatureMap, residual: FeatureMap) -> FeatureMap:
        """The feature of a residual group, in a new map."""
        out, x = self.maps.take(), _Sum(entry)
        for block in group.blocks:
            scale = self._block(cast("AttentionBlock", block), x, out, residual)
            x = _Sum(out if x.residual is not None else entry, residual, scale)
        for band in self._bands(x, 1):
            self._store(out, self._convolve(group.conv, band), add=entry)
        self.progress()
        return out

    def _block(self, block: AttentionBlock, x: _Sum, out: FeatureMap, residual: FeatureMap) -> Tensor:
        """Store the block's input in ``out``, unless it is a map already, and its residual; returns its attention."""
        total = torch.zeros(1, self.maps.shape[2], 1, 1, dtype=torch.float64, device=self.maps.like.device)
        for band in self._bands(x, 2):
            if x.residual is not None:
                self._store(out, band)
            hidden = self._convolve(block.conv1, band)
            hidden.rows.relu_()
            hidden.blank(self.height)
            made = self._convolve(block.conv2, hidden)
            total += at_least_fp32(made.own()).sum(dim=(2, 3), keepdim=True)
            self._store(residual, made)
        height, width, _ = self.maps.shape
        means = (total / (height * width)).to(self.maps.like.dtype)  # (1, n, 1, 1)
        attention = block.attention
        self.progress()
        return torch.sigmoid(attention.excite(F.relu(attention.squeeze(means))))

    def _bands(self, x: _Sum, halo: int) -> Iterator[_Band]:
        """The bands of a map with ``halo`` rows of their neighbours. Each row is read once, before its band ends."""
        _, width, features = self.maps.shape
        room = self.maps.like.new_empty(1, min(self.band, self.height) + 2 * halo, width, features)
        rows = room.permute(0, 3, 1, 2)  # channels of a pixel are adjacent, as in the maps
        read = 0
        for start in range(0, self.height, self.band):
            stop, first = min(self.height, start + self.band), start - halo  # image row ``first`` is row 0 here
            if start:
                rows[:, :, : 2 * halo] = rows[:, :, self.band : self.band + 2 * halo].clone()
            end = min(self.height, stop + halo)
            if end > read:
                x.read(read, end, rows[:, :, read - first : end - first])
                x.release(read, end)
                read = end
            band = _Band(start, stop, halo, rows[:, :, : stop - start + 2 * halo])
            band.blank(self.height)
            yield band

    def _convolve(self, conv: nn.Conv2d, band: _Band) -> _Band:
        """A 3×3 convolution, which uses up one row of the halo on each side."""
        made = F.conv2d(band.rows, conv.weight, conv.bias, padding=(0, 1))
        return band._replace(halo=band.halo - 1, rows=made)

    def _store(self, feature: FeatureMap, band: _Band, add: FeatureMap | None = None) -> None:
        """Write the rows of a band, after adding the same rows of another map if given."""
        own = band.own()
        if add is not None:
            own += add.read(band.start, band.stop)
            add.release(band.start, band.stop)
        feature.write(band.start, own)
        feature.release(band.start, band.stop)
