"""Performance against parameters as in the paper's Fig. 8: six sizes of D2C-SR, six networks and single paths.

    python pipelines/figure8.py --train pairs --out table1 --budget crops=200000

The sizes are (features, groups, blocks) = (64, 2, 4), (64, 2, 2), (64, 2, 1), (32, 2, 1), (16, 2, 1) and (16, 1, 1).
With --size tiny they have a quarter of the features, and the first is D2C-SR as in table1.py. Options and cells are
those of table1.py: given the same --out and options, what is trained there is not trained again.

The paper says that its model of 0.23 M parameters has "a better effect than other methods", such as RCAN and CDC. The
page answers yes, no or unresolved for it and for the smallest model, by the interval of the difference in PSNR. It
writes figure8.csv, figure8-images.csv, figure8-differences.csv, figure8.md and plots/.
"""

from __future__ import annotations

from d2c.comparison.figure8 import answers, methods_of_figure8
from d2c.comparison.front import Front, program, run_program, with_front
from d2c.comparison.methods import Rules
from d2c.comparison.running import run_comparison, with_rules


@program(__doc__)
@with_front(("paper", "tiny"))
@with_rules
def main(front: Front, size: str, rules: Rules, rates: tuple[float, ...]) -> None:
    """Connect the steps, each of which is a function of the library."""
    run_comparison(
        front,
        rules,
        rates,
        lambda scale: methods_of_figure8(front.only, size, scale, rules),
        ("figure8", "Figure 8: performance against parameters", f"size {size}"),
        answers,
    )


if __name__ == "__main__":
    run_program(main, "figure8")
