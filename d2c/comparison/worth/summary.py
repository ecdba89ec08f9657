"""The page of the matrix: each arm less a named one, by 95 % t intervals over paired seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from d2c.comparison.intervals import Paired, paired
from d2c.comparison.pages import markdown_table, smoke_warning
from d2c.comparison.worth.measures import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["differences", "page"]

_MEASURES = {"result": "PSNR", "result_pooled": "PSNR of the pooled error"}
_TEXT = (
    "Differences are means over the seeds that both arms have, with half the width of a 95 % t interval over the "
    "paired differences of the seeds; the images are taken as given. A difference smaller than the half-width is not "
    "resolved, which is a result too. Nothing is corrected for the number of comparisons. One seed is a lead and no "
    "result."
)
_TREES = (
    "The constants are the best constant weights of the predictions on the validation pairs. The oracles take the "
    "prediction nearest to HR in each pixel: of the arm's own predictions, and of its plain mean plus noise of the "
    "same deviation, the same everywhere or in proportion to the gradient. An oracle shows something only as far as it "
    "is above both."
)


def differences(rows: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Every arm less the baseline, for each test set and number of steps.

    Parameters
    ----------
    rows : DataFrame
        With the columns ``arm, seed, test, steps``, ``result`` and ``result_pooled``; see
        :class:`d2c.comparison.worth.matrix.Matrix`.
    baseline : str
        Name of the arm that others are compared with.

    Returns
    -------
    DataFrame
        ``test, steps, arm, less, measure, seeds, difference, half_width, resolved``.
    """
    found: list[dict[str, Any]] = []
    for (test, steps), part in rows.groupby(["test", "steps"], sort=False):
        for measure in _MEASURES:
            grid = part.pivot_table(index="seed", columns="arm", values=measure)
            for arm in grid.columns if baseline in grid else ():
                both = grid[[arm, baseline]].dropna() if arm != baseline else grid.iloc[:0]
                if both.empty:
                    continue
                value = paired(both[arm].to_numpy(), both[baseline].to_numpy())
                first = {"test": test, "steps": steps, "arm": arm, "less": baseline, "measure": measure}
                numbers = {"seeds": value.seeds, "difference": value.mean, "half_width": value.half}
                found.append({**first, **numbers, "resolved": value.resolved})
    names = ["test", "steps", "arm", "less", "measure", "seeds", "difference", "half_width", "resolved"]
    return pd.DataFrame(found, columns=names)


def page(
    rows: pd.DataFrame, compared: pd.DataFrame, labels: Mapping[str, str], about: Sequence[str], baseline: str
) -> str:
    """The page in Markdown.

    Parameters
    ----------
    compared : DataFrame
        From :func:`differences`.
    labels : mapping
        What each arm is, by its name, in the order of the tables.
    about : sequence of str
        Sentences on the data and the trainings.
    """
    warning = smoke_warning(int(rows["crops"].max())) if len(rows) else ["There are no rows yet."]
    parts = ["# Does the tree beat one path?", "\n".join(f"- {text}" for text in [*warning, *about])]
    for test, part in rows.groupby("test", sort=False):
        parts += [f"## {test}, PSNR-Y in dB by basicsr-y"]
        parts += [_arms(part, compared[compared["test"] == test], labels, baseline)]
        parts += [_trees(part, labels)]
    return "\n\n".join([*filter(None, parts), _TEXT, _TREES]) + "\n"


def _arms(part: pd.DataFrame, compared: pd.DataFrame, labels: Mapping[str, str], baseline: str) -> str:
    """A line for each arm: its costs, its PSNR after the most steps, and its differences at all milestones."""
    milestones = sorted(part["steps"].unique())
    head = ["arm", "what it is", "blocks", "parameters", "multiply-adds / LR px", "rate", "seeds"]
    head += [f"PSNR at {milestones[-1]:,}", *(f"less {baseline} at {steps:,}" for steps in milestones)]
    lines = []
    for name, own in _by_arm(part, labels):
        last, first = own[own["steps"] == milestones[-1]], own.iloc[0]
        costs = [f"{int(first[cost]):,}" for cost in ("blocks", "parameters", "multiply_adds")]
        line = [name, labels[name], *costs, f"{first['rate']:g}", str(own["seed"].nunique())]
        line.append(f"{last['result'].mean():.3f}" if len(last) else "")
        lines.append([*line, *(_said(compared, name, steps, name == baseline) for steps in milestones)])
    return markdown_table(head, lines)


def _said(compared: pd.DataFrame, name: str, steps: int, is_baseline: bool) -> str:
    """The differences of an arm after so many steps: of the mean PSNR, and of the pooled one."""
    chosen = compared[(compared["arm"] == name) & (compared["steps"] == steps)].set_index("measure")
    if is_baseline or chosen.empty:
        return "reference" if is_baseline else ""
    rows: list[Any] = [chosen.loc[measure] for measure in _MEASURES]
    mean, pooled = (str(Paired(row["difference"], row["half_width"], row["seeds"])) for row in rows)
    return f"{mean}; pooled {pooled}"


def _trees(part: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """A line for each arm with several predictions, after the most steps; empty if there is none."""
    last = part[(part["steps"] == part["steps"].max()) & part["oracle"].notna()]
    if last.empty:
        return ""
    shown = ("result", "mean", "constants", "oracle", "oracle_flat", "oracle_gradient")
    titles = ["result", "plain mean", "constants", "oracle", "mean + flat noise", "mean + noise by gradient"]
    head = ["arm", *titles, "mean \\|w − 1/P\\|", "deviation, levels"]
    lines = []
    for name, own in _by_arm(last, labels):
        means = own[list(COLUMNS)].mean()
        numbers = [f"{means[column]:.3f}" for column in shown]
        lines.append([name, *numbers, f"{means['weight_departure']:.4f}", f"{means['spread']:.2f}"])
    return markdown_table(head, lines)


def _by_arm(part: pd.DataFrame, labels: Mapping[str, str]) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each arm, in the order of the labels."""
    found = [(name, part[part["arm"] == name]) for name in labels]
    return [(name, own) for name, own in found if len(own)]
