"""The :class:`Reporter` of the toolkit, which receives the progress of long work and prints nothing."""

from d2crealsr.ui.progress import Reporter

__all__ = ["Reporter"]
