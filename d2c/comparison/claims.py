"""D2C-SR with one of the paper's formulas taken literally, or left out: rows for which the paper has no table.

Each is a network of its own for ``--network``, with D2C-SR's structure and settings, which differs in its losses only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d2c.d2csr.entry import D2CSRNetwork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2c.d2csr.stages import D2CStage

__all__ = ["LiteralNorms", "NoAbsoluteValue", "NoStandardisation"]


class LiteralNorms(D2CSRNetwork):
    """The norms of Eqs. 1, 4 and 9 as they are printed, not squared.

    Each is divided by the root of the number of values. For Eqs. 1 and 9 this is a factor that Adam cancels; in Eq. 4
    it keeps the margin in the unit of the residuals, and α as strong for large patches as for small ones.
    """

    def stages(self, train: Any) -> Sequence[type[D2CStage]]:
        from d2c.comparison import d2csr_stages

        return [d2csr_stages.LiteralDivergence, d2csr_stages.LiteralConvergence]


class NoStandardisation(D2CSRNetwork):
    """The triplet of RGB as it is, without Eq. 2: "using triplet loss directly on RGB images"."""

    def stages(self, train: Any) -> Sequence[type[D2CStage]]:
        from d2c.comparison import d2csr_stages
        from d2c.d2csr.stages import ConvergenceStage

        return [d2csr_stages.PlainDivergence, ConvergenceStage]


class NoAbsoluteValue(D2CSRNetwork):
    """The triplet of signed residuals, without the absolute value of Eq. 3, which is said to prevent checkerboards."""

    def stages(self, train: Any) -> Sequence[type[D2CStage]]:
        from d2c.comparison import d2csr_stages
        from d2c.d2csr.stages import ConvergenceStage

        return [d2csr_stages.SignedDivergence, ConvergenceStage]
