"""D2C-SR for spandrel, the library with which chaiNNer and other programs load networks.

After :func:`install`, ``spandrel.ModelLoader`` loads checkpoints of D2C-SR. spandrel is imported only by this function.
"""

from __future__ import annotations

from d2c.errors import ConfigError

__all__ = ["install"]


def install() -> None:
    """Register D2C-SR in spandrel's main registry, once.

    Raises
    ------
    ConfigError
        When spandrel is not installed.

    Examples
    --------
    >>> import d2c, spandrel  # doctest: +SKIP
    >>> d2c.spandrel.install()  # doctest: +SKIP
    >>> spandrel.ModelLoader().load_from_file("runs/paper/last.safetensors")  # doctest: +SKIP
    """
    try:
        from d2c.spandrel.architecture import register
    except ModuleNotFoundError as error:
        if error.name != "spandrel":
            raise
        raise ConfigError("spandrel: is not installed; run: pip install spandrel") from error
    register()
