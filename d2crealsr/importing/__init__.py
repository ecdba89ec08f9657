"""Pairs that others made, brought into a pairs folder."""

from d2crealsr.importing.import_pairs import ImportResult, import_pairs

__all__ = ["ImportResult", "import_pairs"]
