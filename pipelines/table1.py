"""Compare D2C-SR with the networks of the paper's Table 1 on your pairs: one trainer, one protocol, equal budgets.

    python pipelines/table1.py --train pairs --out table1 --size 1.5M --budget crops=200000
    python pipelines/table1.py --train RealSR --test RealSR DRealSR --scale 4 --out table1 --budget steps=50000
    python pipelines/table1.py --train D2CRealSR/train.txt --test D2CRealSR/test.txt --out table1 --native

Beside the networks there are bicubic, the best linear filter from 9×9 LR pixels (least squares, no seeds), and single
paths of D2C-SR (width 1) that equal its tree in depth, body or parameters. All share loss, rate, schedule, batch and
patch; --native takes those of each publication. With several --lr, each network is trained at every rate with seed 0
and takes the best one on the validation pairs.

Each method, seed and training set is a cell under OUT/cells, which is trained and measured once. Stop the program at
any time and give the same command again. It writes table1.csv, table1-images.csv, table1-differences.csv, table1.md and
plots/.
"""

from __future__ import annotations

import click

from d2c.comparison.compare import compare
from d2c.comparison.front import Front, begin, conclude, program, run_program, with_front
from d2c.comparison.methods import Rules, chosen
from d2c.comparison.rates import with_best_rates
from d2c.comparison.results import write_results
from d2c.comparison.sizes import SIZES
from d2crealsr.ui.interrupts import Interrupts

RULES = Rules()


@program(__doc__)
@with_front(SIZES)
@click.option("--native", is_flag=True, help="Loss, rate, schedule, batch and patch of each network's publication.")
@click.option("--loss", type=click.Choice(["l1", "l2", "charbonnier"]), default=RULES.loss, show_default=True)
@click.option("--lr", "rates", type=float, multiple=True, default=[RULES.lr], show_default=True, help="Repeat to try.")
@click.option("--batch", type=int, default=RULES.batch, show_default=True)
@click.option("--patch", type=int, default=RULES.patch, show_default=True, help="LR px; CDC takes multiples of 16.")
def main(front: Front, size: str, native: bool, loss: str, rates: tuple[float, ...], batch: int, patch: int) -> None:
    """Connect the steps, each of which is a function of the library."""
    rules = Rules(loss=loss, lr=rates[0], batch=batch, patch=patch, native=native)
    with Interrupts() as interrupts:
        work, tests = begin(front, interrupts)
        methods = chosen(front.only, size, work.scale, rules)
        if not native:
            methods = with_best_rates(work, methods, rates)
        found = compare(work, methods, range(front.seeds), tests)
    how = "each network by the loss, rate, schedule, batch and patch of its publication"
    if not native:
        tried = ", ".join(f"{rate:g}" for rate in rates)
        how = (
            f"loss {loss}, rate {tried}, warm-up over 2 % and half a cosine, {batch} patches of {patch} LR px, for all"
        )
    about = [
        f"trained on {front.data}, size {size}, budget {front.budget or 'the length in each network’s settings'}",
        f"trained by: {how}; last weights, nothing chosen on test pairs",
    ]
    click.echo(write_results(front.out, "table1", "Table 1", about, found, tests))
    conclude(found)


if __name__ == "__main__":
    run_program(main, "table1")
