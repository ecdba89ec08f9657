"""Draw both packages from their imports: docs/images/architecture-d2crealsr.svg and -d2c.svg.

    python tools/architecture.py            write both pictures
    python tools/architecture.py --counts   print parts, arrows and floors

A part is a folder or module directly under the package. An arrow runs from the part that imports to the one that is
imported; a floor holds the parts whose longest path of arrows downwards has the same length. Where a longer path of
arrows leads to the same part, an arrow is left out of the picture, and counted.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import grimp

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[1]
PACKAGES = ("d2crealsr", "d2c")
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 132, 34, 22, 46
_HIDDEN = ("__main__", "checkpoint", "layouts", "validation")
"""The entry point, and the former places of what others import."""


def arrows_of(package: str) -> dict[str, set[str]]:
    """Which parts each part imports, of its own package."""
    graph = grimp.build_graph(*PACKAGES)
    parts = sorted(graph.find_children(package))
    found: dict[str, set[str]] = {part: set() for part in parts if part.rpartition(".")[2] not in _HIDDEN}
    for part in found:
        for module in (part, *graph.find_descendants(part)):
            for imported in graph.find_modules_directly_imported_by(module):
                other = ".".join(imported.split(".")[:2])
                if other in found and other != part:
                    found[part].add(other)
    return found


def floors_of(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Parts by floor, the lowest first. Raises ValueError where imports form a cycle."""
    floor: dict[str, int] = {}
    left = set(arrows)
    while left:
        ready = sorted(part for part in left if arrows[part] <= floor.keys())
        if not ready:
            raise ValueError(f"imports form a cycle among {', '.join(sorted(left))}")
        for part in ready:
            floor[part] = 1 + max((floor[below] for below in arrows[part]), default=-1)
        left -= set(ready)
    return [sorted(part for part in floor if floor[part] == number) for number in range(max(floor.values()) + 1)]


def needed(arrows: dict[str, set[str]]) -> Iterable[tuple[str, str]]:
    """The arrows that no longer path implies."""
    reach: dict[str, set[str]] = {}
    for part in itertools.chain.from_iterable(floors_of(arrows)):
        reach[part] = set().union(*({below} | reach[below] for below in arrows[part]))
    for part, below in sorted(arrows.items()):
        for target in sorted(below):
            if not any(target in reach[other] for other in below - {target}):
                yield part, target


def picture(package: str) -> str:
    """The parts of a package as SVG, readable on a light and on a dark page."""
    arrows = arrows_of(package)
    floors = floors_of(arrows)
    widest = max(len(parts) for parts in floors)
    width = widest * (_WIDTH + _GAP_X) + _GAP_X
    height = len(floors) * (_HEIGHT + _GAP_Y) + _GAP_Y // 2
    place: dict[str, tuple[float, float]] = {}
    for level, parts in enumerate(reversed(floors)):
        start = (width - len(parts) * (_WIDTH + _GAP_X) + _GAP_X) / 2
        for number, part in enumerate(parts):
            place[part] = start + number * (_WIDTH + _GAP_X), _GAP_Y / 2 + level * (_HEIGHT + _GAP_Y)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="Parts of {package} and what they import">',
        "<style>rect{fill:#fff;stroke:#356}path{fill:none;stroke:#8ab;stroke-width:1.2}text{fill:#123;"
        "font:13px sans-serif;text-anchor:middle}.page{fill:#f6f8fa;stroke:none}</style>",
        f'<rect class="page" width="{width}" height="{height}"/>',
    ]
    for part, below in needed(arrows):
        (x, y), (u, v) = place[part], place[below]
        x, u, y = x + _WIDTH / 2, u + _WIDTH / 2, y + _HEIGHT
        middle = (y + v) / 2
        lines.append(f'<path d="M{x:g} {y:g}C{x:g} {middle:g} {u:g} {middle:g} {u:g} {v:g}"/>')
    for part, (x, y) in sorted(place.items()):
        lines.append(f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="4"/>')
        name = part.rpartition(".")[2]
        lines.append(f'<text x="{x + _WIDTH / 2:g}" y="{y + _HEIGHT / 2 + 4.5:g}">{name}</text>')
    return "\n".join([*lines, "</svg>", ""])


def counts(package: str) -> str:
    """Parts, arrows and floors of a package in one line."""
    arrows = arrows_of(package)
    return f"{package}: {len(arrows)} parts, {sum(map(len, arrows.values()))} arrows, {len(floors_of(arrows))} floors"


def main() -> None:
    """Write the pictures, or print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", action="store_true", help="print parts, arrows and floors instead")
    options = parser.parse_args()
    for package in PACKAGES:
        if options.counts:
            print(counts(package))
        else:
            (ROOT / "docs" / "images" / f"architecture-{package}.svg").write_text(picture(package), encoding="utf-8")


if __name__ == "__main__":
    main()
