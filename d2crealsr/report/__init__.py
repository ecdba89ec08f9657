"""The report on a pairs folder that people look at: one folder that opens from disk (ADR 0008)."""

from d2crealsr.report.make import PairDrawn, ReportResult, make_report

__all__ = ["PairDrawn", "ReportResult", "make_report"]
