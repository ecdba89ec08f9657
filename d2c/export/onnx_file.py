"""ONNX: a graph that onnxruntime and many other programs run."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import warnings
from typing import TYPE_CHECKING, Any

import torch

from d2c.errors import ConfigError
from d2c.export.file_format import KEY, Format, Made
from d2c.export.graph import graph_of, traced
from d2c.networks import network_of
from d2c.networks.base.plausible import one_line
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

    from d2c.export.file_format import Wanted

__all__ = ["ONNX"]

_OPSET = 18
"""Version of ONNX's operators; onnxruntime reads it since 1.14."""
_LARGEST = 2_000_000_000
"""Bytes of weights that fit into one file, whose format ends at 2 GiB."""


def _check() -> None:
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"format: onnx needs {missing[0]}, which is not installed; run: {how_to_install('onnx')}")


def _make(model: nn.Module, wanted: Wanted) -> Made:
    import onnx
    import onnxruntime

    graph = graph_of(model, everything=wanted.everything, precision=wanted.precision)
    size = sum(tensor.numel() * tensor.element_size() for tensor in graph.module.state_dict().values())
    if size > _LARGEST:
        raise ConfigError(
            f"format: weights of {size / 1e9:.1f} GB do not fit into one ONNX file; use --format torch-export"
        )
    network = network_of(model)[0]
    program = traced(graph, model)
    try:
        with _quiet():
            exported = torch.onnx.export(
                program, dynamo=True, opset_version=_OPSET, verbose=False, output_names=list(graph.outputs)
            )
    except torch.onnx.OnnxExporterError as error:
        raise ConfigError(
            f"network: {network.name} has operations that torch {torch.__version__} cannot write as ONNX "
            f"({one_line(error.__cause__ or error)[:200]}); use --format torch-export"
        ) from error
    assert exported is not None
    proto = exported.model_proto
    proto.metadata_props.append(onnx.StringStringEntryProto(key=KEY, value=wanted.description))
    opset = next(each.version for each in proto.opset_import if not each.domain)
    data = proto.SerializeToString(deterministic=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return Made(
        data,
        f"ONNX, opset {opset}",
        f"onnxruntime {onnxruntime.__version__}",
        lambda lr: session.run(None, {"lr": lr}),
    )


def _is_own(path: Path) -> bool:
    import onnx

    try:
        with path.open("rb") as file:
            model: Any = onnx.load(file, load_external_data=False)
    except Exception:  # anything may lie there
        return False
    return any(entry.key == KEY for entry in model.metadata_props)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A block without the exporter's remarks on packages that no network of ours needs."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


ONNX = Format(suffix=".onnx", check=_check, make=_make, is_own=_is_own)
