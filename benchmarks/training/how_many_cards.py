"""How many cards must I shoot? PSNR on new photographs against the number of distinct photographs in training.

    python -m benchmarks.training.how_many_cards --work WORK --photos PHOTOS --minutes 45    # give it again to go on
    python -m benchmarks.training.how_many_cards --work WORK --photos PHOTOS --minutes 0 --out how-many-cards

Each photograph fills one simulated card, which is captured once at x8 (`training.card_sets`). Networks of two sizes
(`training.luma_network`) are trained on 5, 10, 20 and 40 cards: nested subsets with equally many cards of each of five
kinds, from fine detail to smooth, of which each draw takes others. All are validated on the same eight photographs, and
their weights at the best step by these are tested on the same remaining photographs. The number of steps is the same
everywhere. The learning rate is chosen before, by equally many trials of both networks, on the validation part after
training on a draw that is not used again. The third curve is that of the best linear filter of 9x9 LR px, which needs
neither seeds nor steps.

The unit is the draw: its subset, and with networks the seed of the first weights and of the crops. At 40 cards all
draws have the same photographs, and differ in the seed alone. Intervals are of 95 %, by Student's t over the draws;
gains are paired within the draws.

Each row is appended to WORK/rows.csv when its network has been tested: first the first draw of every number of cards,
then the second. An interrupted program goes on with the next row. It prints the table of the rows that are there.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np
import torch

from benchmarks.intervals import half_width, resolved
from benchmarks.program import FOLDER, PATH, print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, read_csv, text_table, write_csv
from benchmarks.training.card_sets import KINDS, SCALE, Cards, cards_of, kinds_of, subset
from benchmarks.training.least_squares import filtered, fitted, luma
from benchmarks.training.luma_network import LumaNetwork, Schedule, psnr_db, train_luma
from d2crealsr.errors import UsageError
from d2crealsr.store import read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.training.luma_network import LumaPair, Result
    from d2c.data.layouts import Pair

DRAWS = {5: 8, 10: 8, 20: 5, 40: 5}
"""Draws of each number of cards for the networks."""
FILTER_DRAWS = 40
"""Draws of the filter, which takes no time."""
FILTER = "filter"
NETWORKS = {"tiny": {"features": 12, "blocks": 2}, "small": {"features": 32, "blocks": 4}}
TESTED = {"network", "cards", "draw", "test_db", "pooled_db"}
"""Columns of every row."""
STEPS, VALIDATE_EVERY = 1000, 100
RATES = (1e-3, 2e-3, 4e-3)
TRIAL_CARDS, TRIAL_DRAW, TRIAL_STEPS = 20, 100, 300


class Bench(NamedTuple):
    """The luma of all pairs, and how the training cards are drawn."""

    kinds: list[list[Pair]]
    pixels: dict[str, LumaPair]
    validation: list[LumaPair]
    test: list[LumaPair]

    @classmethod
    def of(cls, cards: Cards) -> Bench:
        """Read all images once."""
        train, validation, test = ({pair.name: _lumas(pair) for pair in part} for part in cards[:3])
        return cls(kinds_of(cards.train), train, [*validation.values()], [*test.values()])

    def drawn(self, cards: int, draw: int) -> list[LumaPair]:
        """The subset of a draw."""
        return [self.pixels[pair.name] for pair in subset(self.kinds, cards, draw)]

    def trained(self, network: str, cards: int, draw: int, rate: float, steps: int) -> Result:
        """A network after its training on the subset of a draw."""
        torch.manual_seed(draw)
        schedule = Schedule(steps=steps, rate=rate, validate_every=min(steps, VALIDATE_EVERY))
        made = LumaNetwork(SCALE, **NETWORKS[network])
        return train_luma(made, self.drawn(cards, draw), self.validation, schedule, draw)

    def tested(self, network: str, cards: int, draw: int, image: Callable[..., np.ndarray]) -> Row:
        """Mean PSNR of the test images, and the PSNR of their pooled error."""
        psnr = np.array([psnr_db(image(lr), hr, SCALE) for lr, hr in self.test])
        pooled = float(-10 * np.log10(np.mean(10 ** (-psnr / 10))))
        return {"network": network, "cards": cards, "draw": draw, "test_db": float(psnr.mean()), "pooled_db": pooled}

    def network_row(self, network: str, cards: int, draw: int, rate: float, steps: int) -> Row:
        """Train a network, and test the weights of its best step."""
        start = time.process_time()
        found = self.trained(network, cards, draw, rate, steps)
        row = self.tested(network, cards, draw, found.network.image)
        row |= {"validation_db": found.validation_db, "best_step": found.step, "steps": steps, "rate": rate}
        return row | {"cpu_s": round(time.process_time() - start)}

    def filter_row(self, cards: int, draw: int) -> Row:
        """Fit the filter to a subset, in all flips and turns as networks are trained, and test it."""
        filters = fitted(self.drawn(cards, draw), SCALE, turned=True)
        return self.tested(FILTER, cards, draw, lambda lr: filtered(lr, filters, SCALE))


def _lumas(pair: Pair) -> LumaPair:
    return luma(read_image(pair.lr)), luma(read_image(pair.hr))


def chosen_rates(bench: Bench, path: Path, steps: int) -> dict[str, float]:
    """The learning rate of each network, by equally many trials; they are stored, and made once."""
    if not path.exists():
        rows = []
        for network, rate in itertools.product(NETWORKS, RATES):
            found = bench.trained(network, TRIAL_CARDS, TRIAL_DRAW, rate, min(steps, TRIAL_STEPS))
            rows.append({"network": network, "rate": rate, "validation_db": found.validation_db})
        write_csv(path, rows)
    best = {}
    for network in NETWORKS:
        own = [row for row in stored(path, {"network", "rate", "validation_db"}) if row["network"] == network]
        best[network] = float(max(own, key=lambda row: row["validation_db"])["rate"])
    return best


def tasks(most: int) -> Iterator[tuple[str, int, int]]:
    """Network, cards and draw of each run: the first draw of every number of cards, then the second."""
    for draw, cards, network in itertools.product(range(most), DRAWS, NETWORKS):
        if draw < DRAWS[cards]:
            yield network, cards, draw


def network_rows(bench: Bench, work: Path, steps: int, draws: int, minutes: float) -> list[Row]:
    """The rows of all runs so far; those that are lacking are made, until the minutes are over."""
    end, path = time.monotonic() + 60 * minutes, work / "rows.csv"
    rows = stored(path, TESTED | {"steps"}, "this line") if path.exists() else []
    if other := {row["steps"] for row in rows} - {steps}:
        raise UsageError(f"--work: {path} has runs of {min(other)} steps, expected {steps}; give another folder")
    done = {(row["network"], row["cards"], row["draw"]) for row in rows}
    for network, cards, draw in tasks(draws):
        if time.monotonic() >= end:
            break
        if (network, cards, draw) not in done:
            rate = chosen_rates(bench, work / "trials.csv", steps)[network]
            rows.append(bench.network_row(network, cards, draw, rate, steps))
            write_csv(path, rows)
            click.echo(text_table(rows[-1:]), err=True)
    return rows


def filter_rows(bench: Bench, path: Path) -> list[Row]:
    """The rows of the filter, made once; a single one where all draws have the same cards."""
    if not path.exists():
        one = len(bench.pixels)
        write_csv(path, [bench.filter_row(n, draw) for n in DRAWS for draw in range(1 if n == one else FILTER_DRAWS)])
    return stored(path, TESTED)


def stored(path: Path, needed: set[str], spoilt: str = "the file") -> list[Row]:
    """The rows of a file, with numbers in place of text. ``spoilt`` is what has to be made again if one is damaged.

    Raises
    ------
    UsageError
        When one of them is damaged.
    """
    rows = []
    for line, row in enumerate(read_csv(path), start=2):
        try:
            if None in row or not needed <= row.keys():
                raise ValueError
            rows.append(numbers(row))
        except ValueError as error:
            raise UsageError(f"{path}: line {line} is damaged; delete {spoilt}, which is made again") from error
    return rows


def numbers(row: dict[str, str]) -> Row:
    """A stored row with numbers in place of text."""
    return {
        name: value if name == "network" else float(value) if name.endswith("_db") or name == "rate" else int(value)
        for name, value in row.items()
    }


def summary(rows: Sequence[Row]) -> list[Row]:
    """A line for each network and number of cards: the mean over the draws, the gain over the number before it, and
    that over the fewest cards."""
    lines = []
    for network in dict.fromkeys(row["network"] for row in rows):
        before: dict[int, Row] = {}
        fewest: dict[int, Row] = {}
        for cards in DRAWS:
            own = {row["draw"]: row for row in rows if (row["network"], row["cards"]) == (network, cards)}
            if own:
                psnr, pooled = ([row[name] for row in own.values()] for name in ("test_db", "pooled_db"))
                line = {"network": network, "cards": cards, "draws": len(own), "test_db": float(np.mean(psnr))}
                line |= {"half_width_db": half_width(psnr), "pooled_db": float(np.mean(pooled))}
                lines.append(line | _gain("gain", network, own, before) | _gain("total", network, own, fewest))
            before, fewest = own, fewest or own
    return lines


def _gain(name: str, network: str, own: dict[int, Row], fewer: dict[int, Row]) -> Row:
    """The gain over fewer cards, paired within draws. The one filter of all cards is paired with every draw."""
    if network == FILTER and len(own) == 1:
        own = dict.fromkeys(fewer, own[0])
    gains = [row["test_db"] - fewer[draw]["test_db"] for draw, row in own.items() if draw in fewer]
    if len(gains) < 2:
        return {}
    found = {f"{name}_db": float(np.mean(gains)), f"{name}_half_width_db": half_width(gains)}
    return found | {f"{name}_resolved": resolved(gains)}


def answers(lines: Sequence[Row]) -> list[str]:
    """A sentence for each network: up to which number of cards a gain was resolved."""
    said = []
    for network in dict.fromkeys(line["network"] for line in lines):
        own = [line for line in lines if line["network"] == network]
        gained = [line["cards"] for line in own if line.get("gain_resolved") == "yes" and line["gain_db"] > 0]
        if not any(line.get("gain_resolved") for line in own):
            said.append(f"{network}: no gain is judged, since one draw gives no interval")
            continue
        most = max(gained, default=own[0]["cards"])
        if most == own[-1]["cards"] and gained:
            said.append(f"{network}: the last gain, at {most} photographs, was still resolved")
        else:
            said.append(f"{network}: beyond {most} photographs the gain was not resolved")
    return said


@program(__doc__)
@click.option("--work", type=PATH, required=True, help="Holds the captures, the pairs and the rows.")
@click.option("--photos", type=FOLDER, required=True, help="Folder of photographs (*.jpg), more than 48.")
@click.option("--minutes", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Begin no run later.")
@click.option("--steps", type=click.IntRange(1), default=STEPS, show_default=True, help="Steps of a run.")
@click.option(
    "--draws", type=click.IntRange(1), default=max(DRAWS.values()), show_default=True, help="At most so many."
)
@with_small("One draw of two steps", steps=2, draws=1)
@with_out
def main(work: Path, photos: Path, minutes: float, steps: int, draws: int, out: Path | None) -> None:
    torch.set_num_threads(1)
    cards = cards_of(work / "cards", photos)
    bench = Bench.of(cards)
    rows = network_rows(bench, work, steps, draws, minutes) + filter_rows(bench, work / "filter.csv")
    lines = summary(rows)
    parameters = {
        name: sum(part.numel() for part in LumaNetwork(SCALE, **of).parameters()) for name, of in NETWORKS.items()
    }
    sizes = ", ".join(f"{name} {count:,} parameters" for name, count in parameters.items())
    plain = bench.tested("bicubic", 0, 0, LumaNetwork(SCALE, features=1, blocks=0).image)
    said = (
        f"PSNR-Y in dB on {len(cards.test)} photographs at x{SCALE} after training on cards that each show another "
        f"photograph\n{len(cards.validation)} more photographs for validation; {cards.refused} were left out by QA; "
        f"subsets have equally many of {KINDS} kinds\n{sizes}; {steps} steps, tested at the best one by validation\n"
        f"{FILTER}: least squares, 9x9 LR px; bicubic interpolation: {plain['test_db']:.3f}, pooled "
        f"{plain['pooled_db']:.3f}\n"
        "test_db: mean over the draws of the mean over the images; half_width_db: of its 95 % interval over the draws\n"
        "pooled_db: PSNR by the error of all images together, mean over the draws\n"
        "gain_db: over the number of cards in the line above; total_db: over the fewest; both paired within draws"
    )
    tables = {"": lines, "-runs": rows}
    if (work / "trials.csv").exists():
        tables["-trials"] = [*read_csv(work / "trials.csv")]
    print_and_store(f"{said}\n\n{text_table(lines)}\n\n" + "\n".join(answers(lines)), out, tables)


if __name__ == "__main__":
    main()
