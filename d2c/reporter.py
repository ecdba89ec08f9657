"""What long work says while it goes on: the toolkit's :class:`Reporter`, which says nothing."""

from d2crealsr.ui.progress import Reporter

__all__ = ["Reporter"]
