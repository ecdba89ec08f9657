"""The paper's Tables 2 and 3, and its claims that no table of its own tests, as trainings of D2C-SR."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pandas as pd

from d2c.comparison import claims
from d2c.comparison.intervals import difference
from d2c.comparison.methods import Method
from d2c.comparison.pages import markdown_table
from d2c.comparison.published import TABLE_2, TABLE_3
from d2c.comparison.tables import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d2c.comparison.compare import Comparison
    from d2c.comparison.test_sets import TestSet
    from d2c.settings.presets import Preset

__all__ = ["PROTOCOL", "ablation_page", "outputs_table", "variants"]

PROTOCOL = "basicsr-y"
_CLAIMS = {
    "literal-norms": ("Eqs. 1, 4, 9: norms as printed, not squared", "LiteralNorms"),
    "no-standardisation": ("Eq. 2 left out: triplet of RGB as it is", "NoStandardisation"),
    "no-absolute-value": ("Eq. 3 left out: triplet of signed residuals", "NoAbsoluteValue"),
}
_MOST = 4


def variants(base: Preset) -> dict[str, Method]:
    """The models to train, by the names of their rows. Rows of one structure share one training.

    Table 3 is made on a small tree (G = 2, B = 1). A tree of width 1 has one prediction and nothing to fuse, so all its
    steps go to stage 1.
    """
    model: Any = base.model
    train: Any = base.train
    found = {
        "full": _method("full", "all parts", model, train),
        "no-triplet": _method("no-triplet", "w/o triplet loss", model, dataclasses.replace(train, alpha=0.0)),
        "no-deep-residual": _method(
            "no-deep-residual", "w/o deep residual", dataclasses.replace(model, deep_residual=False), train
        ),
    }
    for name, (label, kind) in _CLAIMS.items():
        found[name] = _method(name, label, model, train, f"{claims.__name__}:{kind}")
    theta = dataclasses.replace(train, theta=1.0)
    found["theta-1"] = _method("theta-1", "Eq. 6 left out: θ = 1", model, theta)
    small = dataclasses.replace(model, groups=2, blocks=1)
    for number in range(1, _MOST + 1):
        found[f"width-{number}"] = _tree(f"width-{number}", small, small.depth, number, train)
    for number in range(1, _MOST + 1):
        found[f"depth-{number}"] = _tree(f"depth-{number}", small, number, small.width, train)
    for number in range(1, _MOST + 1):
        found[f"single-depth-{number}"] = _tree(f"single-depth-{number}", small, number, 1, train)
    return _with_twins(found)


def _method(name: str, label: str, model: Any, train: Any, network: str = "d2csr") -> Method:
    return Method(name=name, label=label, network=network, model=model, train=train)


def _tree(name: str, small: Any, depth: int, width: int, train: Any) -> Method:
    model = dataclasses.replace(small, depth=depth, width=width)
    label = f"L = {depth}, C = {width}: {model.predictions} {'leaf' if model.predictions == 1 else 'leaves'}"
    return dataclasses.replace(_method(name, label, model, train), stage="1" if width == 1 else "all")


def _with_twins(found: Mapping[str, Method]) -> dict[str, Method]:
    """The methods; one that equals an earlier one but for its name is trained as that one."""
    shared: dict[str, Method] = {}
    for key, method in found.items():
        twin = next((m for m in shared.values() if dataclasses.replace(method, name=m.name) == m), method)
        shared[key] = twin
    return shared


def outputs_table(found: Comparison, rows: Mapping[str, Method], tests: Sequence[TestSet]) -> pd.DataFrame:
    """Means over the images of every output of every model, a row for each seed, with bicubic first."""
    measured = found.rows[found.rows["protocol"] == PROTOCOL]
    parts = []
    for key, method in rows.items():
        own = measured[measured["method"] == method.name]
        for seed in sorted(own["seed"].unique()):
            bicubic = measured[measured["method"] == "bicubic"].assign(output="bicubic", seed=seed)
            chosen = pd.concat([bicubic, own[own["seed"] == seed]])
            names = [tested.name for tested in tests]
            chosen = chosen[chosen["test"].isin(names)]
            means: pd.DataFrame = chosen.groupby(["test", "output", "protocol"], sort=False)[
                ["psnr_db", "ssim", "lattice"]
            ].mean()
            parts.append(means.reset_index().rename(columns={"output": "method"}).assign(model=key, seed=seed))
    table: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return table


def ablation_page(found: Comparison, rows: Mapping[str, Method], tested: TestSet) -> str:
    """Tables 2 and 3 of one test set in Markdown, with differences from the first row of each."""
    by_name = {name: [(c, t) for c, t in found.cells if c.method.name == name] for name in {*_names(rows)}}
    table_2 = [key for key in rows if not key.startswith(("width", "depth", "single"))]
    table_3 = [key for key in rows if key not in table_2]
    parts = [f"## {tested.name} ×{tested.scale}, {PROTOCOL}, {len(tested.pairs)} images"]
    for title, keys, figures in (("Table 2, and claims", table_2, TABLE_2), ("Table 3", table_3, TABLE_3)):
        lines = []
        for key in keys:
            if cells := by_name[rows[key].name]:
                lines += _lines(key, rows[key], cells, found.rows)
        if lines:
            parts.append(f"### {title}\n\n{_table(lines, tested, figures)}")
    return "\n\n".join(parts)


def _names(rows: Mapping[str, Method]) -> list[str]:
    return [method.name for method in rows.values()]


def _lines(key: str, method: Method, cells: Any, values: pd.DataFrame) -> list[tuple[str, str, Entry]]:
    """The result of a model; of the whole one, first the branches without convergence and their plain mean."""
    lines = []
    if key == "full":
        leaves = range(1, method.model.predictions + 1)
        lines += [(f"branch {k}", f"branch {k} w/o convergence", Entry(cells, f"branch_{k}", values)) for k in leaves]
        lines.append(("mean", "plain mean of the branches", Entry(cells, "mean", values)))
    lines.append((key, method.label, Entry(cells, "fused", values)))
    return sorted(lines, key=lambda line: line[0] != key)  # the whole model is the reference


def _table(lines: Sequence[tuple[str, str, Entry]], tested: TestSet, figures: Mapping[str, Any]) -> str:
    """A line each, with the difference from the first one and the paper's figure at this scale."""
    reference = lines[0][2]
    cells = []
    for key, label, line in lines:
        psnr, ssim, lattice = (line.grid(tested.name, PROTOCOL, name) for name in ("psnr_db", "ssim", "lattice"))
        against = "reference"
        if line is not reference:
            other = reference.grid(tested.name, PROTOCOL, "psnr_db")
            against = str(difference(psnr, other, paired=line.method.name == reference.method.name))
        numbers = [f"{psnr.mean():.3f}", f"{ssim.mean():.4f}", f"{lattice.mean():.3f}"]
        cells.append(
            [label, f"{line.trained.parameters:,}", str(len(psnr)), *numbers, against, _paper(key, figures, tested)]
        )
    head = ["", "parameters", "seeds", "PSNR dB", "SSIM", "checkerboard", f"PSNR less {lines[0][1]}", "paper"]
    return markdown_table(head, cells)


def _paper(key: str, figures: Mapping[str, Any], tested: TestSet) -> str:
    figure = figures.get(key)
    if isinstance(figure, tuple):
        figure = figure[tested.scale - 2] if tested.scale in (2, 3, 4) else None
    elif tested.scale != 4:
        figure = None
    return "" if figure is None else f"{figure:.2f}"
