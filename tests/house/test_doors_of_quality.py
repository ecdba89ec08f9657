"""A QA rule, a statistic and a network are added to a copy of the packages by the lines that the guide names."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from d2crealsr.dataset.build import build
from tests.house.conftest import COMMANDS, ROOT, House

pytestmark = pytest.mark.slow
EARLIER = ROOT / "tests" / "earlier" / "v0.1.0"


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
        print(next(size_rows(find("flat"))))
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
