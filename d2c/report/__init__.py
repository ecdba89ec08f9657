"""A run's report: curves, example crops and settings on one page that opens from disk."""

from d2c.report.make import report

__all__ = ["report"]
