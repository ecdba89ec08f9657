"""The former place of :mod:`d2c.data.hold_out`, for code that imports it from here."""

from d2c.data.hold_out import *  # noqa: F403
