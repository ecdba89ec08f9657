"""What is added to the house is a module and its line in a table: made here in a copy of the packages, and used."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.house.conftest import COMMANDS, ROOT, House

pytestmark = pytest.mark.slow
EARLIER = ROOT / "tests" / "earlier" / "v0.1.0"


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
    assert "| Toy | `.toy` | linear light | the extra `toy` (toylib) |" in told
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
    assert "1 pair, layout twins;" in told
    assert "NAME_x4.* and NAME_x1.*; NAME.png and NAME.jpg; or 001H.* and 001L.*" in told
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


def test_a_layout_to_export_pairs_in_is_a_module_and_a_line(house: House, tmp_path: Path) -> None:
    house.module(
        "d2crealsr/dataset/exports/flat.py",
        """
        from d2crealsr.dataset.exports.pair_export import Arrangement, PairExport


        def _arrange(pairs, request):
            made = Arrangement()
            for pair in pairs:
                made.pictures[f"{pair.scene}-hr.png"] = pair.hr
                made.pictures[f"{pair.scene}-lr.png"] = pair.lr
            return made


        FLAT = PairExport(name="flat", files="NAME-hr.png and NAME-lr.png", arrange=_arrange)
        """,
    )
    table = "d2crealsr/dataset/exports/__init__.py"
    house.line(table, "from d2crealsr.dataset.exports.export", "from d2crealsr.dataset.exports import flat")
    house.line(table, "    div2k.DIV2K,", "    flat.FLAT,")
    told = house.runs(
        COMMANDS
        + """
print(d2crealsr("export", sys.argv[1], "--layout", "flat", "--out", sys.argv[2])[0])
print(d2crealsr("export", "--help")[1])
""",
        EARLIER / "pairs",
        tmp_path / "out",
    )
    assert told.startswith("0\n")
    assert "NAME-hr.png and NAME-lr.png" in " ".join(told.split())
    exported = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert len(exported) % 2 == 0
    assert "chelsea-hr.png" in exported


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
