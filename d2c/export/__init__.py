"""Models in files for other programs: the table of formats. A format is one module and one line here.

A line names a :class:`d2c.export.file_format.Format`, which is imported only when it is used.
"""

from __future__ import annotations

__all__ = ["FORMATS"]

FORMATS: dict[str, str] = {
    "onnx": "d2c.export.onnx_file:ONNX",
    "torch-export": "d2c.export.torch_file:TORCH_EXPORT",
    "safetensors": "d2c.export.weights_file:SAFETENSORS",
}
