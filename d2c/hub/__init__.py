"""Models on the Hugging Face Hub, or in folders of its form: weights, configuration and a model card.

It is done by the mixin of huggingface_hub, which the extra ``hub`` installs and which is imported when it is used.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2c.errors import CheckpointError, ConfigError
from d2c.networks.base.plausible import one_line
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from os import PathLike

    from torch import nn

    from d2c.hub.folder import HubFolder

__all__ = ["from_pretrained", "push_to_hub", "save_pretrained"]


def from_pretrained(where: str | PathLike[str], *, network: str | None = None, **options: Any) -> Any:
    """The model of a repository of the Hub, or of a folder that :func:`save_pretrained` wrote.

    Parameters
    ----------
    where : str or path
        ``OWNER/NAME``, or the folder.
    network : str, optional
        As for :func:`d2c.load`.
    **options
        Those of huggingface_hub, such as ``revision``, ``token``, ``cache_dir`` and ``local_files_only``.

    Raises
    ------
    CheckpointError
        When neither the folder nor the repository can be read, the weights are none of d2c, or ``config.json``
        contradicts them.
    ConfigError
        When huggingface_hub is not installed.
    TypeError
        When there is no such option.
    """
    folder = _folder()
    from huggingface_hub.errors import HFValidationError

    if Path(where).exists():
        folder.check_weights(Path(where))
    if Path(where).is_dir():
        folder.check_config(Path(where))
        return folder.from_pretrained(str(where), network=network, **options).model
    try:
        return folder.from_pretrained(str(where), network=network, **options).model
    except (OSError, HFValidationError) as error:
        raise CheckpointError(
            f"{where}: is no folder here, and cannot be read from the Hub ({one_line(error)[:300]}); name a folder "
            "that save_pretrained wrote, or OWNER/NAME"
        ) from error


def save_pretrained(
    model: nn.Module,
    folder: str | PathLike[str],
    *,
    run: str | PathLike[str] | None = None,
    metrics: str | PathLike[str] | None = None,
    licence: str = "",
    **options: Any,
) -> None:
    """Write a model to a folder: ``model.safetensors``, ``config.json``, and the card ``README.md`` if there is none.

    Parameters
    ----------
    run : path, optional
        The folder of the run that trained it, from which the card has the data, and the steps and the validation of
        the checkpoint that the model is. If it is none of the run's, they are those of the last one, and the card says
        so.
    metrics : path, optional
        A table that ``d2c eval --csv`` wrote, for the card.
    licence : str, optional
        The licence of the weights, as the Hub names it, for the card.
    **options
        Those of huggingface_hub, such as ``push_to_hub`` and ``repo_id``.

    Raises
    ------
    UsageError
        When the folder holds files of these names that this function did not write.
    TypeError
        When there is no such option.
    ConfigError
        When huggingface_hub is not installed, or the run trained a network of another configuration.
    """
    _folder()(model, run=run, metrics=metrics, licence=licence).save_pretrained(Path(folder), **options)


def push_to_hub(
    model: nn.Module,
    repo_id: str,
    *,
    run: str | PathLike[str] | None = None,
    metrics: str | PathLike[str] | None = None,
    licence: str = "",
    **options: Any,
) -> str:
    """Upload what :func:`save_pretrained` writes to the repository ``repo_id``; returns the address of the commit."""
    said: str = _folder()(model, run=run, metrics=metrics, licence=licence).push_to_hub(repo_id, **options)
    return said


def _folder() -> type[HubFolder]:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ConfigError(f"hub: huggingface_hub is not installed; run: {how_to_install('hub')}")
    from d2c.hub.folder import HubFolder

    return HubFolder
