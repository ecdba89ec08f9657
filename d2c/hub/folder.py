"""A model as the mixin of huggingface_hub sees it. This module needs huggingface_hub."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download

from d2c.checkpoints import native
from d2c.errors import CheckpointError
from d2c.hub.card import CardSources, card_of
from d2c.networks import network_of
from d2crealsr.store import outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike

    from torch import nn

__all__ = ["CONFIG", "WEIGHTS", "HubFolder"]

WEIGHTS, CONFIG = "model.safetensors", "config.json"


class HubFolder(ModelHubMixin):
    """A model with what its card is made from. Weights are a checkpoint of d2c, so ``d2c.load`` reads them as well."""

    def __init__(
        self,
        model: nn.Module,
        *,
        run: str | PathLike[str] | None = None,
        metrics: str | PathLike[str] | None = None,
        licence: str = "",
    ) -> None:
        self.model = model
        self.sources = CardSources(
            run=None if run is None else Path(run), metrics=None if metrics is None else Path(metrics), licence=licence
        )
        self._hub_mixin_config = _configuration(model)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Write the folder; the mixin calls this for an upload as well."""
        _check_options("save_pretrained", options, ModelHubMixin.save_pretrained, ModelHubMixin.push_to_hub)
        folder = Path(save_directory)
        outputs.check_output(folder / WEIGHTS, "weights of d2c", _is_checkpoint)
        outputs.check_output(folder / CONFIG, "a configuration of d2c", _is_config)
        card_of(self.model, self.sources)  # what is wrong with its sources is said before anything is written
        said: str | None = super().save_pretrained(folder, **options)
        return said

    def _save_pretrained(self, save_directory: Path) -> None:
        native.save(save_directory / WEIGHTS, self.model)

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, network: str | None = None, config: Any = None, **options: Any
    ) -> HubFolder:
        """``options`` are those of a download. The weights contain the configuration too, and both have to agree."""
        _check_options("from_pretrained", options, hf_hub_download)
        path = Path(model_id) / WEIGHTS
        if not Path(model_id).is_dir():
            path = Path(hf_hub_download(repo_id=model_id, filename=WEIGHTS, **options))
        made = cls(native.load(path, network=network))
        said = dict(config or {})
        if network is not None:
            said.pop("network", None)  # a class of one's own may stand elsewhere now
        for name, value in _configuration(made.model).items():
            if said.get(name, value) != value:
                raise CheckpointError(
                    f"{model_id}/{CONFIG}: says {name} = {said[name]!r:.40}, but {WEIGHTS} has {value!r:.40}; get "
                    "both files from one place"
                )
        return made

    @staticmethod
    def check_weights(folder: Path) -> None:
        """Raise CheckpointError for what is on this machine and is no folder of :meth:`save_pretrained`."""
        if not (folder / WEIGHTS).is_file():
            raise CheckpointError(
                f"{folder}: is no folder that save_pretrained wrote, which has {WEIGHTS} and {CONFIG}; read a "
                "checkpoint or a run with d2c.load"
            )

    @staticmethod
    def check_config(folder: Path) -> None:
        """Raise CheckpointError for a configuration that the mixin would fail to read. It may be absent."""
        path = folder / CONFIG
        try:
            said = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{path}: cannot be read ({error}); get the file anew, or remove it") from error
        if not isinstance(said, dict):
            raise CheckpointError(f"{path}: is no table of settings; get the file anew, or remove it")

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """The card in place of the mixin's template."""
        return ModelCard(card_of(self.model, self.sources))


def _check_options(function: str, options: Iterable[str], *known: Callable[..., Any]) -> None:
    """Refuse an option that none of these functions of huggingface_hub has, as Python does."""
    names = {name for each in known for name in inspect.signature(each).parameters}
    for name in options:
        if name not in names:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


def _configuration(model: nn.Module) -> dict[str, Any]:
    """The content of ``config.json``."""
    network, config = network_of(model)
    return {"library": "d2c", "network": network.name, **dataclasses.asdict(config)}


def _is_checkpoint(path: Path) -> bool:
    try:
        native.network_name(path)
    except CheckpointError:
        return False
    return True


def _is_config(path: Path) -> bool:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("library") == "d2c"
