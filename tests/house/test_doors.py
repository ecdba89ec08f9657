"""What is added to the house is a module and its line in a table: made here in a copy of the packages, and used."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from d2crealsr.dataset.build import build

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
EARLIER = ROOT / "tests" / "earlier" / "v0.1.0"


class House:
    """A copy of both packages to build in, and commands and code that run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for package in ("d2crealsr", "d2c"):
            shutil.copytree(ROOT / package, root / package)
        (root / "tools").mkdir()
        shutil.copy(ROOT / "tools" / "tables_in_docs.py", root / "tools")

    def module(self, name: str, code: str) -> None:
        """A new module."""
        (self.root / name).write_text(textwrap.dedent(code), encoding="utf-8")

    def line(self, name: str, before: str, new: str) -> None:
        """A new line of a module, in front of the one that begins like this."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert text.count(f"\n{before}") == 1, f"{name} has another line {before!r}"
        path.write_text(text.replace(f"\n{before}", f"\n{new}\n{before}"), encoding="utf-8")

    def runs(self, code: str, *arguments: object) -> str:
        """What code prints that is run in the copy."""
        environment = os.environ | {"PYTHONPATH": str(self.root)}
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("house"))


COMMANDS = """
import json, sys
from click.testing import CliRunner
from d2crealsr.command.cli import main

def d2crealsr(*words):
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.output

def docs(name, *arguments):
    import runpy
    return runpy.run_path("tools/tables_in_docs.py")[name](*arguments)
"""


def test_an_image_reader_is_a_module_and_a_line(house: House, tmp_path: Path) -> None:
    house.module(
        "d2crealsr/store/readers/toys.py",
        """
        import struct

        from d2crealsr.store.readers.reader import Header, Reader


        def _header(file):
            return Header(*struct.unpack("<4xHH", file.read(8)), "RGB", 16)


        def _decode(data):
            import toylib

            return toylib.decoded(data)


        TOY = Reader(
            name="Toy", suffixes=(".toy",), begins=lambda start: start.startswith(b"TOY1"), header=_header,
            decode=_decode, linear=True, extra="toy", library="toylib",
        )
        """,
    )
    house.line(
        "d2crealsr/store/readers/__init__.py",
        "from d2crealsr.store.readers.reader",
        "from d2crealsr.store.readers import toys",
    )
    house.line("d2crealsr/store/readers/__init__.py", "    tiffs.TIFF", "    toys.TOY,")
    for side in ("hr", "lr"):
        (tmp_path / "raw" / side).mkdir(parents=True)
        (tmp_path / "raw" / side / "a.toy").write_bytes(b"TOY1" + bytes([40, 0, 32, 0]) + bytes(40 * 32 * 6))
    told = house.runs(
        COMMANDS
        + """
from pathlib import Path
raw, pairs = Path(sys.argv[1], "raw"), Path(sys.argv[1], "pairs")
print(d2crealsr("align", raw, "--out", pairs)[0])
print((pairs / "manifest.csv").read_text())

from d2crealsr.errors import ImageError
from d2crealsr.store import read_image
from d2crealsr.store.images import decode_image, read_capture, read_size
print(read_size(raw / "hr/a.toy"))
for read in (
    lambda: read_capture(raw / "hr/a.toy", convert=True, max_pixels=1000), lambda: decode_image(b"none", "b.toy")
):
    try:
        read()
    except ImageError as error:
        print(error)
Path("toylib.py").write_text(
    "import numpy\\ndef decoded(data): return numpy.frombuffer(data[8:], 'u2').reshape(32, 40, 3).astype('u2')"
)
print(read_image(raw / "hr/a.toy").shape, read_capture(raw / "hr/a.toy", convert=True).tone)
print(d2crealsr("align", raw, "--out", pairs)[1])
print(docs("readers"))

from d2c.data.layouts import find_pairs
print([pair.lr.name for pair in find_pairs(raw, scale=1)])
""",
        tmp_path,
    )
    assert "a.toy is Toy, read by toylib; install it with pip install" in told
    assert "of no image format that is read: PNG, JPEG, Toy, TIFF, BMP, WebP" in told
    assert "(40, 32)\n" in told
    assert "a.toy: 40x32 pixels, at most 1,000 are read" in told
    assert "(32, 40, 3) linear\n" in told
    assert "a failed low_texture" in told, "the scene is tried again once the library is there"
    assert "| Toy | `.toy` | linear light | toylib, by the extra `toy` |" in told
    assert "['a.toy']" in told


def test_a_raw_layout_is_a_module_and_a_line(house: House, tmp_path: Path) -> None:
    house.module(
        "d2crealsr/store/captures/by_lens.py",
        """
        from d2crealsr.store.captures.capture import Capture, RawLayout


        def _find(raw, scale, said):
            tele = sorted(raw.glob("tele/*.jpg"))
            return [
                Capture(scene=path.stem, hr=path, lr=raw / "wide" / path.name, group=path.stem) for path in tele
            ] or None


        LENSES = RawLayout(name="lenses", files="folders tele and wide with equal file names", find=_find)
        """,
    )
    table = "d2crealsr/store/captures/__init__.py"
    house.line(table, "from d2crealsr.store.captures.capture", "from d2crealsr.store.captures import by_lens")
    house.line(table, ')\n"""Every layout of captures', "    by_lens.LENSES,")
    for lens, side in (("tele", "hr"), ("wide", "lr")):
        shutil.copytree(EARLIER / "raw" / side, tmp_path / "raw" / lens)
    told = house.runs(
        COMMANDS
        + """
raw = sys.argv[1] + "/raw"
print(d2crealsr("align", raw, "--out", sys.argv[1] + "/pairs", "--scale", 2, "--iters", 1, "--refine", "none")[1])
print(d2crealsr("align", raw + "/tele", "--out", sys.argv[1] + "/none"))
print(d2crealsr("align", "--help")[1])
print(docs("raw_layouts"))
""",
        tmp_path,
    )
    assert "[4/4] rocket" in told
    assert "or 001H.* and 001L.*; or folders tele and wide with equal file names" in told
    assert "  lenses    folders tele and wide with equal file names\n" in told
    assert "| lenses | folders tele and wide with equal file names |" in told


def test_a_pair_layout_is_a_module_and_a_line(house: House, tmp_path: Path) -> None:
    house.module(
        "d2crealsr/store/layouts/twins.py",
        """
        from d2crealsr.store.layouts.found import ImagePair, PairFolder, PairLayout


        def _find(folder):
            pairs = [
                ImagePair(scene=path.stem, hr=path, lr=path.with_suffix(".jpg"), nominal=2)
                for path in sorted(folder.glob("*.png"))
                if path.with_suffix(".jpg").exists()
            ]
            return PairFolder(layout="twins", pairs=tuple(pairs)) if pairs else None


        TWINS = PairLayout(name="twins", files="NAME.png and NAME.jpg", details="LR is the JPEG", find=_find)
        """,
    )
    table = "d2crealsr/store/layouts/__init__.py"
    house.line(table, "from d2crealsr.store.layouts.found", "from d2crealsr.store.layouts import twins")
    house.line(table, "    named.CITY100,", "    twins.TWINS,")
    shutil.copy(EARLIER / "pairs" / "hr" / "coffee.png", tmp_path)
    shutil.copy(EARLIER / "pairs" / "lr" / "coffee.png", tmp_path / "coffee.jpg")
    (tmp_path / "empty").mkdir()
    told = house.runs(
        COMMANDS
        + """
print(d2crealsr("audit", sys.argv[1])[1])
print(d2crealsr("audit", sys.argv[1] + "/empty"))
print(d2crealsr("audit", "--help")[1])
print(docs("pair_layouts"))
from pathlib import Path
from d2c.cli import cli
from d2c.data.layouts import find_pairs
print([(pair.name, pair.lr.name, pair.scale) for pair in find_pairs(Path(sys.argv[1]))])
print(CliRunner().invoke(cli, ["train", "--help"]).output)
""",
        tmp_path,
    )
    assert "1 pairs, layout twins;" in told
    assert "NAME_x1.* and NAME_x4.*; NAME.png and NAME.jpg; or 001H.* and 001L.*" in told
    assert told.count("  twins    NAME.png and NAME.jpg\n") == 2, "in the help of both programs"
    assert "| twins | NAME.png and NAME.jpg; LR is the JPEG |" in told
    assert "[('coffee', 'coffee.jpg', 2)]" in told


def test_an_export_is_a_module_and_a_line(house: House, tmp_path: Path) -> None:
    house.module(
        "d2crealsr/dataset/exports/names.py",
        """
        from d2crealsr.dataset.exports.export import Export
        from d2crealsr.store.files import write_text
        from d2crealsr.store.pairs import read_manifest


        def _write(pairs, folder):
            write_text(folder / "names.txt", "\\n".join(read_manifest(pairs)["scene"]))
            return [folder / "names.txt"]


        NAMES = Export(name="names", words="Write a list of the scenes to DIR.", write=_write)
        """,
    )
    table = "d2crealsr/dataset/exports/__init__.py"
    house.line(table, "from d2crealsr.dataset.exports.export", "from d2crealsr.dataset.exports import names")
    house.line(table, "    parquet.PARQUET,", "    names.NAMES,")
    told = house.runs(
        COMMANDS
        + """
print(d2crealsr("summary", sys.argv[1], "--names", sys.argv[2])[1])
print(d2crealsr("summary", "--help")[1])
""",
        EARLIER / "pairs",
        tmp_path,
    )
    assert f"written: {tmp_path}/names.txt\n" in told
    assert re.search(r"--names DIR +Write a list of the scenes to DIR\.\n", told)
    assert (tmp_path / "names.txt").read_text(encoding="utf-8").split()[:2] == ["astronaut", "chelsea"]


def test_a_figure_of_the_report_is_a_function_and_a_line(house: House, tmp_path: Path) -> None:
    function = (
        """    crops: (into) => plots.points(into, { ...residual, pairs: drawn("lr_x", "lr_y"), says: "Crops." }),"""
    )
    house.line("d2crealsr/report/templates/dataset.js", "    geometry: (into)", function)
    line = '    "crops": Explanation("Where crops lie.", "Anywhere.", "Nowhere.", "Look.", "Places of the crops"),'
    house.line("d2crealsr/report/words.py", '    "geometry": Explanation(', line)
    house.runs(COMMANDS + "print(d2crealsr('report', *sys.argv[1:]))", EARLIER / "pairs", "--out", tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert 'id="plot-crops"' in page
    assert "Places of the crops</h3>" in page
    assert "Where crops lie." in page
    assert function in page


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One pair, aligned by the rules as they are."""
    folder = tmp_path_factory.mktemp("aligned")
    for side in ("hr", "lr"):
        (folder / "raw" / side).mkdir(parents=True)
        shutil.copy(EARLIER / "raw" / side / "coffee.jpg", folder / "raw" / side)
    assert build(folder / "raw", folder / "pairs", settings={"scale": 2}).accepted == 1
    return folder


@pytest.fixture
def folder(aligned: Path, tmp_path: Path) -> Path:
    """A copy to work in."""
    return shutil.copytree(aligned, tmp_path / "folder")


def test_a_rule_on_a_known_statistic_is_a_line(house: House, folder: Path) -> None:
    house.line(
        "d2crealsr/quality/verdict.py",
        '    Rule("clipped", "clipped_fraction",',
        '    Rule("uneven_light", "brightness_error_before", "above", 0.0),',
    )
    told = house.runs(
        COMMANDS
        + """
raw, pairs = sys.argv[1] + "/raw", sys.argv[1] + "/pairs"
print(d2crealsr("align", raw, "--out", pairs))
print(d2crealsr("align", raw, "--out", pairs, "--allow-loss")[1])
print(docs("rules"))
from d2crealsr.report.content import in_words
print(in_words("uneven_light").means)
print(d2crealsr("align", raw, "--out", pairs, "--qa-profile", "off")[1])
""",
        folder,
    )
    assert "(2, " in told
    assert "1 of 1 published pairs would no longer be accepted" in told
    assert re.search(r"coffee rejected \S*uneven_light.*\(.*brightness_error_before 0\.0\d+ above 0", told)
    assert "| `uneven_light` | `brightness_error_before` | above | 0 | 0 |" in told
    assert "The number brightness_error_before (mean " in told
    assert "coffee accepted" in told, "the profile `off` leaves the rule out"


def test_a_rule_on_a_new_statistic_is_a_measure_its_column_its_rule_and_its_words(house: House, folder: Path) -> None:
    house.module(
        "d2crealsr/quality/darkness.py",
        """
        def darkness(pair):
            return {"dark_fraction": float((pair.lr_crop.luma < 0.2).mean())}
        """,
    )
    evidence = "d2crealsr/quality/evidence.py"
    house.line(evidence, "from d2crealsr.quality import", "from d2crealsr.quality.darkness import darkness")
    house.line(evidence, "    likeness,", "    darkness,")
    column = '    _added("dark_fraction", "share of the crop that is dark in LR"),'
    house.line("d2crealsr/store/columns.py", '    _added("scale_ratio",', column)
    house.line(
        "d2crealsr/quality/verdict.py", '    Rule("low_tex', '    Rule("too_dark", "dark_fraction", "above", 0.01),'
    )
    words = '    "too_dark": ReasonInWords("LR is nearly black.", "Open the shutters."),'
    house.line("d2crealsr/store/reasons.py", '    "clipped": ReasonInWords', words)
    told = house.runs(
        COMMANDS
        + """
raw, pairs = sys.argv[1] + "/raw", sys.argv[1] + "/pairs"
print(d2crealsr("align", raw, "--out", pairs, "--qa-profile", "default", "--allow-loss")[1])
print(d2crealsr("summary", pairs, "--columns", "scene,dark_fraction,reasons", "--format", "csv")[1])
print(d2crealsr("report", pairs)[1])
print((open(pairs + "/report/index.html").read()))
from d2crealsr.quality.verdict import RULES
print(docs("rules"), docs("reasons", ["too_dark"]))
from d2crealsr.store.columns import MANIFEST
print(docs("columns", MANIFEST))
""",
        folder,
    )
    assert re.search(r"coffee rejected \S*too_dark.*dark_fraction 0\.\d+ above 0\.01", told)
    assert "\nscene,dark_fraction,reasons\ncoffee,0." in told
    assert "<td>LR is nearly black.</td><td>Open the shutters.</td>" in told
    assert "| `too_dark` | `dark_fraction` | above | 0.01 | 0.005 |" in told
    assert "| `too_dark` | LR is nearly black. | Open the shutters. |" in told
    assert "| `dark_fraction` | float |  | share of the crop that is dark in LR (optional to read) |" in told


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="training needs torch")
def test_a_network_is_a_module_and_a_line(house: House, tmp_path: Path) -> None:
    """The example of the documentation is trained, killed, resumed, evaluated, upscaled in strips and reported."""
    example = re.search(r"^```python\n(.*?)^```$", (ROOT / "docs/networks.md").read_text(encoding="utf-8"), re.M | re.S)
    assert example is not None
    house.module("d2c/networks/flat.py", example[1])
    house.line("d2c/networks/__init__.py", '    "d2csr": ', '    "flat": "d2c.networks.flat:FlatNetwork",')
    told = house.runs(
        """
        import os, signal, sys, time
        from pathlib import Path

        import torch
        from click.testing import CliRunner
        from d2c.cli import cli

        def d2c(*words):
            done = CliRunner().invoke(cli, [*map(str, words), "--device", "cpu"])
            assert done.exit_code == 0, done.output
            return done.output

        pairs, out = Path(sys.argv[1]), Path(sys.argv[2])
        torch.set_num_threads(1)
        train = ["train", "--data", pairs, "--network", "flat", "--preset", "tiny", "--batch", 2, "--patch", 8]
        train += ["--steps", 120, "--save-every", 4, "--validation", 0]
        child = os.fork()
        if not child:
            d2c(*train, "--out", out / "run")
            os._exit(0)
        while not (out / "run/state/state.pt").exists():
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, "it had finished"
        print("killed after step", torch.load(out / "run/state/state.pt", weights_only=True)["step"])
        d2c(*train, "--out", out / "run")
        d2c(*train, "--out", out / "whole")
        weights = [(out / name / "last.safetensors").read_bytes() for name in ("run", "whole")]
        assert weights[0] == weights[1]
        print(d2c("eval", out / "run", "--data", pairs))
        lr = next((pairs / "lr").glob("*.png"))
        for name, limit in (("whole", "1GB"), ("strips", "800kB")):
            command = ["upscale", lr, "--checkpoint", out / "run", "--out", out / name, "--max-memory", limit]
            print(d2c(*command, "--plan"), d2c(*command))
        print(d2c("report", out / "run"))
        from d2c.networks import find
        from d2c.networks.base.count import size_rows
        print(size_rows(find("flat"))[0])
        """,
        EARLIER / "pairs",
        tmp_path,
    )
    step = re.search(r"killed after step (\d+)", told)
    assert step is not None
    assert int(step[1]) < 120
    assert re.search(r"^mean +\d+\.\d+ +\d+\.\d+$", told, re.MULTILINE), "bicubic and the output are measured"
    whole, strips = (next((tmp_path / name).glob("*_x2.png")) for name in ("whole", "strips"))
    assert whole.read_bytes() == strips.read_bytes()
    heights = [int(rows) for rows in re.findall(r"strips of (\d+) LR rows", told)]
    assert heights[0] > heights[1]
    page = (tmp_path / "run/report/index.html").read_text(encoding="utf-8")
    assert re.search(r">\s*flat\s*<", page)
    assert "'parameters': {2: 556, 3: " in told
    assert "'multiply_adds_per_lr_pixel': {2: 540, 3: " in told
