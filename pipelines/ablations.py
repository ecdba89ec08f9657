"""Measure what each part of the method contributes on your pairs, as in Table 2 and Table 3 of the paper.

    python pipelines/ablations.py --train pairs --out ablations --scale-down 100
    python pipelines/ablations.py --train pairs --out ablations --budget steps=20000 --only full --only theta-1

For Table 2, the rows "w/o convergence" and the plain mean are measured on the branches of the full model, and models
are trained without the triplet and without the deep residual. Rows for claims that the paper has no table for follow:
the norms of Eqs. 1, 4 and 9 as they are printed, no standardisation (Eq. 2), no absolute value (Eq. 3), and θ = 1
(Eq. 6). Table 3 varies width and depth of a small tree (G = 2, B = 1), and depth also with width 1, as the paper's
column of depths changes the number of leaves as well.

The checkerboard is the root of the error's energy on the lattice of frequencies with the period of the scale, in levels
of the 8-bit Y. Models are trained by D2C-SR's own losses with the preset's schedule; --budget changes its length. Each
model and seed is a cell under OUT/cells, which is trained and measured once: stop the program at any time and give the
same command again. It writes ablations.csv and ablations.md.
"""

from __future__ import annotations

import dataclasses

import click

from d2c.comparison.ablation import ablation_page, outputs_table, variants
from d2c.comparison.compare import compare
from d2c.comparison.front import Front, begin, check_trained, conclude, program, run_program, with_front
from d2c.comparison.methods import BICUBIC
from d2c.comparison.pages import METHODS_OF_BOUNDS, smoke_warning
from d2c.d2csr.presets import PRESETS
from d2c.errors import ConfigError
from d2c.settings.presets import scaled_down
from d2crealsr.store.files import write_text
from d2crealsr.ui.interrupts import Interrupts


@program(__doc__)
@with_front(list(PRESETS))
@click.option(
    "--scale-down", type=int, default=1, show_default=True, help="Divide steps, and the patch's area, by this."
)
def main(front: Front, size: str, scale_down: int) -> None:
    """Connect the steps, each of which is a function of the library."""
    preset = scaled_down(PRESETS[size], scale_down)
    with Interrupts() as interrupts:
        work, tests = begin(front, interrupts)
        every = variants(preset._replace(model=dataclasses.replace(preset.model, scale=work.scale)))
        if unknown := [name for name in front.only if name not in every]:
            raise ConfigError(f"model: got {unknown[0]!r}, expected some of {', '.join(every)}; change --only")
        rows = {key: method for key, method in every.items() if not front.only or key in front.only}
        found = compare(work, [BICUBIC, *dict.fromkeys(rows.values())], range(front.seeds), tests)
    check_trained(found, [BICUBIC])
    table = outputs_table(found, rows, tests)
    write_text(front.out / "ablations.csv", table.to_csv(index=False, float_format="%.6f"))
    crops = max((trained.crops for _, trained in found.cells), default=0)
    pages = [ablation_page(found, rows, tested) for tested in tests]
    text = "\n\n".join(["# Tables 2 and 3", *smoke_warning(crops), *pages, METHODS_OF_BOUNDS, *found.failures]) + "\n"
    write_text(front.out / "ablations.md", text)
    click.echo(text)
    conclude(found)


if __name__ == "__main__":
    run_program(main, "ablations")
