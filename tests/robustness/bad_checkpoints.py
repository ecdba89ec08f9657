"""Hostile checkpoints through the real commands of d2c: one line, an exit code, nothing run, no memory taken.

    python -m tests.robustness.bad_checkpoints --out tests/robustness/results/bad_checkpoints.md
    python -m tests.robustness.bad_checkpoints --small

Safetensors go through `upscale`, `eval` and `train --weights`, pickles through `convert` and under a checkpoint's
name, training states through `train` on their run's folder. All commands run in this process,
whose largest memory is watched.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import shutil
import struct
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from click.testing import CliRunner
from safetensors.torch import save as to_safetensors

from benchmarks.measuring import begin_peak, peak_bytes
from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import text_table
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.d2csr.config import D2CConfig
from d2c.d2csr.network import D2CSR
from d2crealsr.store.images import write_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TINY = D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, reduction=2, convergence_features=4)
TRAIN = ["--scale", "2", "--depth", "1", "--groups", "1", "--blocks", "1", "--features", "4", "--reduction", "2"]
TRAIN += ["--convergence-features", "4", "--batch", "1", "--patch", "8", "--steps", "2", "--steps-convergence", "2"]
TRAIN += ["--validation", "0", "--device", "cpu"]
MOST_BYTES = 400_000_000
"""Memory that all cases together may take over what the process had before."""


class Case(NamedTuple):
    """A file, under the name of what it is given as: ``checkpoint``, ``pickle`` or ``state``."""

    kind: str
    name: str
    content: bytes


class _Evil:
    """Pickles to a call of ``function`` with these arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def _weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: tensor.contiguous() for name, tensor in D2CSR(TINY).state_dict().items()}


def _safetensors(config: Mapping[str, Any] | None = None, weights: Any = None, described: Any = None) -> bytes:
    said = {"format": native.FORMAT, "config": {**dataclasses.asdict(TINY), **(config or {})}, "notes": {}}
    text = json.dumps(said if described is None else described)
    return bytes(to_safetensors(weights or _weights(), metadata={"d2c": text}))


def safetensors(marker: Path) -> Iterator[Case]:
    """Checkpoints that are cut, lie about themselves, or are something else."""
    good = _safetensors()
    for share in (0.0, 0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999):
        yield Case("checkpoint", f"cut to {share:.2%}", good[: int(share * len(good))])
    for length in (0, 1, len(good) * 2, 2**31, 2**40, 2**63 - 1, 2**64 - 1):
        yield Case("checkpoint", f"header of {length} bytes", struct.pack("<Q", length) + good[8:])
    for field, value in {"offsets": [0, 2**50], "shape": [2**40, 2**20], "negative": [-1, -1]}.items():
        key = {"offsets": "data_offsets", "shape": "shape", "negative": "data_offsets"}[field]
        length = struct.unpack("<Q", good[:8])[0]
        header = json.loads(good[8 : 8 + length])
        next(cell for name, cell in header.items() if name != "__metadata__")[key] = value
        text = json.dumps(header).encode()
        yield Case(
            "checkpoint", f"tensor with absurd {field}", struct.pack("<Q", len(text)) + text + good[8 + length :]
        )
    deep = b"[" * 100_000
    yield Case("checkpoint", "header nested deeply", struct.pack("<Q", len(deep)) + deep)
    for field, value in (
        *(("groups", 10**9), ("blocks", 10**9), ("features", 10**9), ("convergence_features", 10**12)),
        *(("depth", 30), ("width", 10**6), ("scale", 7), ("scale", -2), ("scale", 10**9), ("features", "many")),
        *(("reduction", 0), ("depth", None), ("unknown", 1), ("scale", float("nan")), ("groups", True)),
    ):
        yield Case("checkpoint", f"configuration {field} = {value}", _safetensors({field: value}))
    yield Case("checkpoint", "configuration of scale 4", _safetensors({"scale": 4}))
    for text in ([], "x", 3, {"format": "other"}, {"format": native.FORMAT}):
        yield Case("checkpoint", f"metadata {str(text)[:30]}", _safetensors(described=text))
    for value in (float("nan"), float("inf")):
        weights = _weights()
        weights["head.weight"] = torch.full_like(weights["head.weight"], value)
        yield Case("checkpoint", f"weights that are {value}", _safetensors(weights=weights))
    strange = {name: tensor.to(torch.int8) for name, tensor in _weights().items()}
    yield Case("checkpoint", "weights of whole numbers", _safetensors(weights=strange))
    fewer = dict(list(_weights().items())[1:])
    yield Case("checkpoint", "a weight too few", _safetensors(weights=fewer))
    yield Case("checkpoint", "a weight too many", _safetensors(weights=_weights() | {"x": torch.zeros(2)}))
    for case in pickles(marker):
        yield case._replace(kind="checkpoint", name=f"pickle: {case.name}")


def pickles(marker: Path) -> Iterator[Case]:
    """Pickles that run code, fill memory, or are cut."""
    good = {"state_dict_D": {"head.0.weight": np.ones((2, 3), np.float32)}, "state_dict_C": {"a": np.zeros(3)}}
    evil = {
        "os.mkdir": _Evil(os.mkdir, str(marker)),
        "os.system": _Evil(os.system, f"touch '{marker}'"),
        "eval": _Evil(eval, f"__import__('os').mkdir({str(marker)!r})"),
        "exec": _Evil(exec, f"import os; os.mkdir({str(marker)!r})"),
        "bytearray": _Evil(bytearray, 2**36),
    }
    for name, value in evil.items():
        for protocol in (0, 2, 4):
            yield Case("pickle", f"{name}, protocol {protocol}", pickle.dumps(good | {"x": value}, protocol))
    whole = pickle.dumps(good)
    for share in (0.0, 0.1, 0.5, 0.99):
        yield Case("pickle", f"cut to {share:.0%}", whole[: int(share * len(whole))])
    put = pickle.PROTO + b"\x02" + pickle.EMPTY_DICT + pickle.LONG_BINPUT + struct.pack("<I", 2**31 - 1) + pickle.STOP
    yield Case("pickle", "a memo of 2^31 places", put)
    yield Case("pickle", "bytes of 2^62", pickle.PROTO + b"\x04" + pickle.BINBYTES8 + struct.pack("<Q", 2**62) + b"x.")
    yield Case("pickle", "lists in lists", b"(" * 200_000 + b"l" * 200_000 + b".")
    yield Case("pickle", "good, of other weights", whole)


def states(marker: Path) -> Iterator[Case]:
    """What stands as ``state/state.pt`` of a run."""
    for name, value in (
        *(("a number", 3), ("another version", {"format": 99}), ("nothing in it", {"format": 2})),
        *(("code", {"format": 2, "x": _Evil(os.mkdir, str(marker))}),),
        ("wrong types", {"format": 2, "stage": [], "step": "x", "model": 3, "unlogged": 0, "engine": {}, "best": ""}),
    ):
        buffer = io.BytesIO()
        torch.save(value, buffer)
        yield Case("state", name, buffer.getvalue())
    whole = buffer.getvalue()
    for share in (0.0, 0.3, 0.9):
        yield Case("state", f"cut to {share:.0%}", whole[: int(share * len(whole))])
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("state/data.pkl", bytes(2**28))  # a quarter of a GB of zeros in some kB
        archive.writestr("state/version", "3\n")
    yield Case("state", "a zip bomb", bomb.getvalue())
    for case in pickles(marker):
        yield case._replace(kind="state", name=f"pickle: {case.name}")


def commands(case: Case, folder: Path) -> dict[str, list[str]]:
    """The commands that meet a case's file, by name; it is put where they look."""
    data, run = str(folder / "data"), folder / "run"
    if case.kind == "pickle":
        path = folder / "released.pkl"
        path.write_bytes(case.content)
        return {"convert": ["convert", str(path), str(folder / "out.safetensors")]}
    if case.kind == "state":
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(folder / "trained", run)
        (run / "state" / "state.pt").write_bytes(case.content)
        return {"train, resumed": ["train", "--data", data, "--out", str(run), *TRAIN]}
    path = folder / "a.safetensors"
    path.write_bytes(case.content)
    shutil.rmtree(folder / "new", ignore_errors=True)
    image = str(folder / "data" / "LR" / "1.png")
    return {
        "upscale": ["upscale", image, "--checkpoint", str(path), "--out", str(folder / "up"), "--device", "cpu"],
        "eval": ["eval", str(path), "--data", data, "--split", "all", "--device", "cpu"],
        "train": ["train", "--data", data, "--out", str(folder / "new"), "--weights", str(path), *TRAIN],
    }


def outcome(arguments: list[str]) -> tuple[int, str]:
    """Exit code, and what is wrong with how the command ended; empty where nothing is."""
    result = CliRunner().invoke(cli, arguments)
    lines = [line for line in result.stderr.splitlines() if line.startswith("d2c:")]
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return -1, f"a traceback: {type(result.exception).__name__}: {str(result.exception)[:200]}"
    if result.exit_code and len(lines) != 1:
        return result.exit_code, f"not one line: {result.stderr[-200:]}"
    return result.exit_code, ""


def prepare(folder: Path) -> None:
    """Four small pairs, and a run trained on them for two steps a stage."""
    rng = np.random.default_rng(0)
    for number in range(4):
        hr = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        write_image(folder / "data" / "HR" / f"{number}.png", hr)
        write_image(folder / "data" / "LR" / f"{number}.png", np.ascontiguousarray(hr[::2, ::2]))
    result = CliRunner().invoke(
        cli, ["train", "--data", str(folder / "data"), "--out", str(folder / "trained"), *TRAIN], catch_exceptions=False
    )
    if result.exit_code:
        raise SystemExit(f"training for the states failed: {result.output}")


@program(__doc__)
@with_small("Every sixth case", exposed=True)
@with_out
def main(small: bool, out: Path | None) -> None:
    """Give d2c's commands hostile checkpoints, and count what it came to."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder)
        marker = folder / "code was run"
        cases = [*safetensors(marker), *pickles(marker), *states(marker)][:: 6 if small else 1]
        before = begin_peak()
        counts: Counter[tuple[str, str, int]] = Counter()
        wrong = []
        for case in cases:
            for name, arguments in commands(case, folder).items():
                code, problem = outcome(arguments)
                counts[case.kind, name, code] += 1
                if marker.exists():
                    problem = "code was run"
                if problem:
                    wrong.append(f"{case.kind} {case.name}, {name}: {problem}")
        taken = peak_bytes() - before
    if taken > MOST_BYTES:
        wrong.append(f"memory grew by {taken / 1e6:.0f} MB")
    rows = [{"file": k, "command": n, "exit code": c, "runs": counts[k, n, c]} for k, n, c in sorted(counts)]
    summary = f"{len(cases)} hostile files, {sum(counts.values())} runs; {len(wrong)} not as they should be; "
    summary += f"memory grew by {taken / 1e6:.0f} MB over all of them"
    text = "\n".join([text_table(rows), "", summary, *(f"- {line}" for line in wrong)])
    print_and_store(text, out, heading="Hostile checkpoints")
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
