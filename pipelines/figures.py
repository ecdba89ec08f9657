"""Draw crops of all methods side by side (the paper's Figs. 5, 6, 10, 11), and a data set's contact sheet (Fig. 9).

    python pipelines/figures.py --train pairs --out table1 --size 1.5M --budget crops=200000
    python pipelines/figures.py --train pairs --out table1 --size 1.5M --budget crops=200000 --image 012 --box 40,30,9,9

It takes the options of table1.py and draws from the cells that it left in OUT, with the first seed; nothing is trained
here. Under each crop are PSNR and SSIM of the whole image and PSNR of the crop, by basicsr-y.

The places are chosen by a rule, unless --box gives one: the square of LR pixels in which the mean squared errors of the
trained methods differ most. Images are those whose place has the largest spread, unless --image names them. Each figure
says how its place was chosen. PNG and PDF files are written to OUT/figures.
"""

from __future__ import annotations

import click

from d2c.comparison.drawing import Choice, draw_figures
from d2c.comparison.front import Front, begin, program, run_program, with_front
from d2c.comparison.methods import Rules, chosen
from d2c.comparison.running import with_rules
from d2c.comparison.sizes import SIZES
from d2crealsr.ui.interrupts import Interrupts


@program(__doc__)
@with_front(SIZES)
@with_rules
@click.option("--image", "names", multiple=True, help="Name of a test pair; repeat it for several.")
@click.option("--images", "count", type=click.IntRange(min=1), default=3, show_default=True, help="Figures to draw.")
@click.option("--box", help="Place to show: x,y,width,height in LR px.  [default: chosen by the rule]")
@click.option(
    "--side", type=click.IntRange(min=4), default=32, show_default=True, help="Side of a chosen place, LR px."
)
def main(
    front: Front,
    size: str,
    rules: Rules,
    rates: tuple[float, ...],
    names: tuple[str, ...],
    count: int,
    box: str | None,
    side: int,
) -> None:
    """Connect the steps, each of which is a function of the library."""
    choice = Choice(names=names, count=count, box=box, side=side)
    with Interrupts() as interrupts:
        work, tests = begin(front, interrupts)
        methods = chosen(front.only, size, work.scale, rules)
        for path in draw_figures(work, methods, () if rules.native else rates, tests, choice):
            click.echo(path)


if __name__ == "__main__":
    run_program(main, "figures")
