"""The former place of :mod:`d2c.data.layouts`, for code that imports it from here."""

from d2c.data.layouts import *  # noqa: F403
