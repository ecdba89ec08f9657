"""Does D2C-SR's tree of branches beat one path? Arms of equal steps, compared over paired seeds.

    python pipelines/worth.py --train pairs --test newpairs --out worth --size table-3 --precision bf16 --minutes 13
    python pipelines/worth.py --train pairs --out worth-tiny --size tiny --seeds 2 --device cpu

The main arms are D2C-SR as published; stage 1 and then everything through Eq. 9; the tree by stage 1 alone, with the
plain mean of its branches; and one path of the tree's depth and one of its number of blocks. Then: paths of equal
parameters and of equal multiply-adds; one body with four tails and the convergence net; four unshared paths; and other
weights of the triplet. All are trained at a constant rate, with averaged weights and without clipping, so that one
training gives the difference after 1,500, 3,000 and 7,000 steps (--size table-3, the size of the paper's Table 3). The
rate is the best of 1, 2, 4 and 8e-4 on the validation pairs, with as many trials for every arm.

Stop the program at any time, or let --minutes stop it, and give the same command again. Each row is written to rows.csv
when it is measured: costs, PSNR as the mean over the images and of the pooled error, the plain mean, the best constant
weights, the mean of |w - 1/P|, and the oracle beside those of the mean plus noise. It writes worth.md, the differences
from --baseline by t intervals over seeds, and worth-differences.csv. Five seeds resolved .01 to .10 dB at --size small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pandas as pd

from d2c.comparison.deadline import Deadline, TimeIsUp
from d2c.comparison.front import Front, begin, program, run_program, with_front
from d2c.comparison.worth.arms import BASELINE, SIZES
from d2c.comparison.worth.matrix import Matrix
from d2c.comparison.worth.summary import differences, page
from d2c.errors import BatchError, ConfigError
from d2crealsr.store.files import write_text

if TYPE_CHECKING:
    from d2c.comparison.worth.matrix import Table


def rows_of(table: Table) -> pd.DataFrame:
    """The rows as numbers, as far as they are."""
    found = pd.DataFrame(table.rows, columns=table.names)
    numbers = [name for name in found.columns if name not in ("arm", "test")]
    found[numbers] = found[numbers].apply(pd.to_numeric)
    return found


@program(__doc__)
@with_front(list(SIZES), seeds=5)
@click.option("--minutes", type=click.FloatRange(min=0), help="Stop after this time; the same command goes on.")
@click.option("--baseline", default=BASELINE, show_default=True, help="The arm that others are compared with.")
def main(front: Front, size: str, minutes: float | None, baseline: str) -> None:
    """Connect the steps, each of which is a function of the library."""
    if front.budget:
        raise ConfigError(f"budget: got {front.budget}, but the size says the steps; leave --budget out")
    time_is_up = False
    with Deadline(minutes) as interrupts:
        work, tests = begin(front, interrupts)
        matrix = Matrix(work=work, tests=tests, size=SIZES[size], seeds=range(front.seeds), only=front.only)
        labels = {arm.name: arm.method.label for arm in matrix.every}
        if baseline not in labels:
            raise ConfigError(f"baseline: got {baseline!r}, expected one of {', '.join(labels)}; change --baseline")
        try:
            matrix.run()
        except TimeIsUp:
            time_is_up = True
    rows = rows_of(matrix.rows)
    compared = differences(rows, baseline)
    write_text(front.out / "worth-differences.csv", compared.to_csv(index=False, float_format="%.6f"))
    about = [f"trained on {front.data}, size {size}, ×{work.scale}, {front.precision or 'fp32'}"]
    about.append(
        f"{matrix.done} of {matrix.wanted} rows; a constant rate, chosen on validation pairs with another seed"
    )
    text = page(rows, compared, labels, [*about, *matrix.failures], baseline)
    write_text(front.out / "worth.md", text)
    click.echo(text)
    if time_is_up:
        click.echo(f"the time is up: {matrix.done} of {matrix.wanted} rows; the same command goes on", err=True)
    if matrix.failures:
        raise BatchError(f"{len(matrix.failures)} failed, the others are done: {matrix.failures[0]}")


if __name__ == "__main__":
    run_program(main, "worth")
