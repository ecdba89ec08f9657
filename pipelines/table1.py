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

from d2c.comparison.front import Front, program, run_program, with_front
from d2c.comparison.methods import Rules, chosen
from d2c.comparison.running import run_comparison, with_rules
from d2c.comparison.sizes import SIZES


@program(__doc__)
@with_front(SIZES)
@with_rules
def main(front: Front, size: str, rules: Rules, rates: tuple[float, ...]) -> None:
    """Connect the steps, each of which is a function of the library."""
    run_comparison(
        front,
        rules,
        rates,
        lambda scale: chosen(front.only, size, scale, rules),
        ("table1", "Table 1", f"size {size}"),
    )


if __name__ == "__main__":
    run_program(main, "table1")
