"""A run's report: what it reads while the run may still be going on, what it shows, and how it looks to a browser."""

from __future__ import annotations

import html
import itertools
import json
import math
import re
import shlex
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from d2c.cli import cli
from d2c.d2csr.config import TrainConfig
from d2c.d2csr.entry import NETWORK
from d2c.inference.figures import CIVIDIS, heat
from d2c.report.charts import Series, draw, ticks
from d2c.report.crops import busiest
from d2c.report.curves import Log, figures, read_log
from d2c.report.headline import State, judged
from d2c.training.runfolder import RunFolder

jinja2 = pytest.importorskip("jinja2")

QUICK = ["--preset", "tiny", "--patch", "8", "--batch", "2", "--features", "6", "--device", "cpu"]
QUICK += ["--steps", "4", "--steps-convergence", "2", "--log-every", "1", "--validate-every", "2"]


def command(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def trained(pairs, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "run <i>&"
    result = command("train", "--data", pairs, "--out", out, *QUICK)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / trained.name)


class Page(HTMLParser):
    """Headings, notes and pictures of a page."""

    def __init__(self, path):
        super().__init__()
        self.pictures, self.texts, self.inside = [], {"h1": [], "h3": [], "p": []}, None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.pictures.append(dict(attributes))
        if tag in self.texts:
            self.inside = tag
            self.texts[tag].append("")

    def handle_endtag(self, tag):
        if tag == self.inside:
            self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.texts[self.inside][-1] += data


def made(run, *options):
    result = command("report", run, "--device", "cpu", *options)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{run / 'report' / 'index.html'}\n"
    return Page(run / "report" / "index.html")


def test_the_page_has_every_chart_and_the_crops_of_validation_scenes(run, pairs):
    page = made(run, "--scenes", "1")
    assert page.texts["h1"] == ["Training run run <i>&"]
    charts = ["Quality on the validation scenes", "What fusing is worth", "Structural similarity", "Loss and its terms"]
    assert page.texts["h3"][:5] == [*charts, "Learning rate"]
    scene = page.texts["h3"][5]
    assert scene in {"001", "002", "003", "004", "005"}
    methods = ["bicubic", *(f"branch-{k}" for k in (1, 2, 3, 4)), "mean", "fused", "oracle"]
    labels = ["lr", *methods, "hr", *(f"weight-{k}" for k in (1, 2, 3, 4))]
    labels += ["lr", "fused", "likely-error", "error"]
    assert [picture["src"] for picture in page.pictures] == [f"files/scene-1-{label}.png" for label in labels]
    assert all(f"of scene {scene}" in picture["alt"] for picture in page.pictures)
    folder = run / "report"
    shown = {picture["src"]: np.asarray(PIL.Image.open(folder / picture["src"])) for picture in page.pictures}
    lr = np.asarray(PIL.Image.open(pairs / "lr" / f"{scene}.png"))
    np.testing.assert_array_equal(shown["files/scene-1-lr.png"], lr[:20, :20])  # all of its 24×20 px that is square
    assert {image.shape for name, image in shown.items() if not name.endswith("-lr.png")} == {(40, 40, 3)}
    there = sorted(path.name for path in (folder / "files").iterdir())
    assert there == sorted([*(name[6:] for name in shown), "scene-1-blink.webp"])
    with PIL.Image.open(folder / "files" / "scene-1-blink.webp") as blink:
        assert (blink.n_frames, blink.size) == (3, (480, 480))


def test_the_top_says_what_the_page_is_of_and_a_verdict(run):
    made(run, "--scenes", "0")
    text = (run / "report" / "index.html").read_text()
    assert f"<dd>{run.parent.name}/run &lt;i&gt;&amp;</dd>" in text
    assert "<dd>step 2 of 2 of stage 2, finished</dd>" in text
    assert re.search(r"bicubic(</strong>|.*):.*fused has \d+\.\d+ dB PSNR-Y on the validation scenes", text)


@pytest.mark.parametrize(
    ("rows", "kind", "words"),
    [
        ([], "warn", "the log has no rows"),
        ([(1, 3, None, None)], "warn", "no validation up to step 3 of 4 of stage 1"),
        (
            [(1, 2, 21.0, 20.0), (1, 4, 20.5, 20.0)],
            "good",
            "0.500 dB above bicubic, at step 4 of 4 of stage 1; its best was 21.00 dB after 2 steps",
        ),
        ([(1, 2, 19.0, 20.0)], "warn", "1.00 dB below bicubic, at step 2 of 4 of stage 1; that is its best so far"),
        ([(2, 2, 19.0, 20.0)], "bad", "below bicubic, at step 2 of 2 of stage 2"),
    ],
)
def test_the_verdict_rests_on_what_is_gained_over_bicubic(run, rows, kind, words):
    lines = [
        f"{stage},{step},{'' if fused is None else fused},{'' if cubic is None else cubic}"
        for stage, step, fused, cubic in rows
    ]
    (run / "log.csv").write_text("\n".join(["stage,step,val_psnr_db_fused,val_psnr_db_bicubic", *lines, ""]))
    verdict = judged(read_log(run / "log.csv"), RunFolder(run).settings(None))
    assert verdict.kind == kind
    assert words in verdict.because


def test_crops_are_computed_in_the_precision_that_is_asked_for_and_the_page_says_it(run):
    def crop():
        return np.asarray(PIL.Image.open(run / "report" / "files" / "scene-1-fused.png")).astype(int)

    assert not any("computed in" in words for words in made(run, "--scenes", "1").texts["p"])
    exact = crop()
    page = made(run, "--scenes", "1", "--precision", "bf16")
    assert any(", computed in bf16)" in words for words in page.texts["p"])
    assert 0 < np.abs(crop() - exact).max() <= 8
    assert "--precision bf16" in (run / "report" / "index.html").read_text(encoding="utf-8")


def test_the_command_for_this_page_again_has_every_option_that_is_not_the_default(run, tmp_path):
    def again():
        assert done.exit_code == 0, done.output
        text = Path(done.stdout.strip()).read_text(encoding="utf-8")
        (found,) = re.findall(r">(d2c report .*?)</code>", text)
        return shlex.split(html.unescape(found))

    given = ["--out", str(tmp_path / "page"), "--scenes", "0", "--device", "cpu"]
    done = command("report", run, *given)
    words = again()
    assert [words[words.index(option) + 1] for option in given[::2]] == given[1::2]
    done = command("report", run, "--out", run / "report", "--scenes", "4", "--device", "auto")
    assert not {"--out", "--scenes", "--device"} & set(again())


def test_what_the_run_was_started_with_is_noted(run, pairs):
    noted = json.loads((run / "state" / "started.json").read_text())
    assert noted["data"] == str(pairs)
    assert noted["command"][0] == "d2c"
    assert {"python", "torch", "numpy", "d2crealsr"} == set(noted["versions"])
    text = (made(run, "--scenes", "0"), run / "report" / "index.html")[1].read_text()
    assert noted["versions"]["torch"] in text


def test_a_run_that_has_just_begun_and_one_in_the_middle_of_a_row(run):
    whole = (run / "log.csv").read_text()
    for there in (whole[: whole.rindex("\n", 0, -1) + 12], whole[:-3]):  # the last row is being written
        (run / "log.csv").write_text(there)
        assert len(read_log(run / "log.csv").rows) == whole.count("\n") - 2
    made(run, "--scenes", "0")
    (run / "log.csv").unlink()
    (run / "last.safetensors").unlink()
    page = made(run)
    notes = [text for text in page.texts["p"] if text.startswith(("The log has no rows yet", "No example crops yet"))]
    assert len(notes) == 2
    assert page.pictures == []
    assert not (run / "report" / "files").exists()
    (run / "config.toml").unlink()
    result = command("report", run)
    assert result.exit_code == 2
    assert "no config.toml of a run" in result.stderr


def test_without_the_data_or_with_others_it_says_so(run, pairs, make_pairs, tmp_path):
    for path in (run / "config.toml", run / "state" / "started.json"):
        path.write_text(path.read_text().replace(str(pairs), str(tmp_path / "nowhere")))
    page = made(run)
    assert any("Example crops are left out" in text and "nowhere" in text for text in page.texts["p"])
    other = make_pairs(tmp_path / "other", seed=1)
    page = made(run, "--data", other, "--scenes", "1")
    assert any("are not those of the run" in text for text in page.texts["p"])
    assert page.pictures
    (run / "state" / "started.json").unlink()
    page = made(run)
    assert any("does not say where its data are" in text for text in page.texts["p"])
    page = made(run, "--data", pairs, "--scenes", "1")
    assert not any("not those of the run" in text for text in page.texts["p"])


def test_data_that_are_named_and_cannot_be_read_keep_the_page(run, pairs, tmp_path):
    made(run, "--data", pairs, "--scenes", "1")
    page = (run / "report" / "index.html").read_bytes()
    result = command("report", run, "--device", "cpu", "--data", tmp_path / "none")
    assert result.exit_code == 2
    assert "none" in result.stderr
    assert (run / "report" / "index.html").read_bytes() == page


def test_a_damaged_checkpoint_is_said_and_a_damaged_log_is_one_line(run):
    whole = (run / "last.safetensors").read_bytes()
    (run / "last.safetensors").write_bytes(whole[:100])
    page = made(run)
    assert any(
        f"Example crops are left out: {run / 'last.safetensors'}: is not a complete" in text for text in page.texts["p"]
    )
    for text in ("stage,step,total\n1,one,2\n", "step,total\n1,2\n"):
        (run / "log.csv").write_text(text)
        result = command("report", run)
        assert result.exit_code == 2
        assert "log.csv: is not the log of a run" in result.stderr


def test_what_no_text_can_hold_and_what_has_no_end_does_not_end_the_report(run):
    (run / "state" / "started.json").write_text('{"data": "\\udcff", "device": "\\ud800"}')
    with (run / "config.toml").open("a") as config:
        config.write(f"[more{'.x' * 3000}]\n")
    assert any("udcff" in text for text in made(run).texts["p"])


def test_settings_that_an_editor_spoiled_are_named_and_a_byte_order_mark_does_no_harm(run, pairs):
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(f"\ufeff{text}", encoding="utf-8")
    made(run, "--scenes", "0")
    (run / "config.toml").write_text(text.replace("seed =", "seed"))
    for arguments in (["report", run], ["train", "--data", pairs, "--out", run, *QUICK]):
        result = command(*arguments)
        assert result.exit_code == 2
        assert "config.toml: is not TOML (Expected '='" in result.stderr


def test_a_report_in_place_of_a_file_is_wrong_use(run):
    result = command("report", run, "--out", run / "log.csv")
    assert result.exit_code == 2
    assert "log.csv is no folder" in result.stderr


def test_curves_count_steps_over_both_stages(run):
    log = read_log(run / "log.csv")
    assert log.stages == [(4, "stage 2")]
    assert [at for at, _ in log.curve("total")] == [1, 2, 3, 4, 5, 6]
    assert [at for at, _ in log.curve("val_psnr_db_fused")] == [2, 4, 6]
    gain = next(figure for figure in figures(log, NETWORK, TrainConfig()) if figure.id == "difference-1").chart
    assert [line.name for line in gain.lines] == ["fused − mean", "best branch − mean"]
    assert gain.lines[0].last == pytest.approx(log.last("val_psnr_db_fused") - log.last("val_psnr_db_mean"))
    assert gain.marks == [(pytest.approx(gain.left + 4 / 6 * (gain.right - gain.left), abs=0.1), "stage 2")]


def test_the_shifts_of_realignment_are_a_chart_where_there_are_any():
    for moved, shown in ((2.5, True), (float("nan"), False)):
        log = Log(rows=[{"at": at, "total": 1.0, "realigned_hr_px": moved} for at in (10.0, 20.0)], stages=[])
        assert ("moved" in [figure.id for figure in figures(log, NETWORK, TrainConfig())]) == shown


def test_a_chart_puts_points_where_their_values_are():
    points = [(0, 1), (50, math.nan), (100, 100)]
    chart = draw([Series(name="a", points=points, colour=1)], x_label="x", y_label="y", logarithmic=True)
    assert chart is not None
    (x0, y0), (x1, y1) = (tuple(map(float, pair.split(","))) for pair in chart.lines[0].path[1:].split("L"))
    assert (x0, x1) == (chart.left, chart.right)
    at = {tick.text: tick.at for tick in chart.y_ticks}
    assert (y0, y1) == (at["1"], at["100"])
    assert at["10"] == pytest.approx((y0 + y1) / 2, abs=0.1)
    assert draw([Series(name="a", points=[(1, -1)], colour=1)], x_label="", y_label="", logarithmic=True) is None
    level = draw([Series(name="a", points=[(1, 5.0), (2, 5.0)], colour=1)], x_label="", y_label="")
    assert level is not None
    assert level.y_ticks


def test_a_stage_whose_steps_are_not_known_is_not_finished():
    assert State(stage=2, step=7, steps=7, stages=2).is_finished
    assert not State(stage=2, step=7, steps=0, stages=2).is_finished
    assert State(stage=1, step=7, steps=0, stages=1).words == "step 7"


@pytest.mark.parametrize(("low", "high"), [(0, 650), (-0.1, 0.2), (25.93, 25.94), (1e-7, 9e-7)])
def test_ticks_are_round_and_lie_inside(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 8
    assert all(low - 1e-12 <= tick <= high + 1e-12 for tick in found)
    steps = {float(f"{b - a:.3g}") for a, b in itertools.pairwise(found)}
    assert len(steps) == 1
    assert f"{steps.pop():e}"[0] in "125"


def test_the_busiest_square_lies_on_the_detail_and_in_the_image():
    lr = np.full((60, 90, 3), 100, dtype=np.uint8)
    lr[40:58, 5:23] = np.random.default_rng(0).integers(0, 256, (18, 18, 3))
    box = busiest(lr, 20)
    assert (box.width, box.height) == (20, 20)
    assert 3 <= box.x <= 5
    assert 38 <= box.y <= 40
    assert tuple(busiest(lr[:10, :12], 20))[2:] == (10, 10)
    assert heat(np.array([[-1.0, 0, 1, 2]]), CIVIDIS).tolist() == [[[0, 34, 78]] * 2 + [[254, 232, 56]] * 2]


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_the_page_in_a_browser_without_a_network(run, browser, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    made(run, "--scenes", "2")
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "offline": True}
    page = browser.new_page(**options)
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((run / "report" / "index.html").as_uri())
    page.evaluate("document.querySelectorAll('img').forEach((image) => { image.loading = 'eager'; })")
    page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth)")
    violations = axe.Axe().run(page).response["violations"]
    assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    drawn = "getComputedStyle(document.querySelector('.swatch .curve')).stroke"
    assert page.evaluate(drawn) not in ("none", "rgb(0, 0, 0)")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as SVG: Quality on the validation scenes").click()
    figure = download.value.path().read_text()
    assert all(f">{name}  " in figure for name in ("bicubic", "branch 1", "mean", "fused", "oracle"))
    assert "rgb(11, 111, 168)" in figure  # the first colour of the light page
    assert said == []
    page.close()


@pytest.mark.parametrize(
    "text",
    [
        '{"command": [1]}',
        '{"command": "d2c"}',
        '{"data": 3}',
        '{"data": "a\\u0000b"}',
        '{"versions": []}',
        "[" * 100_000,
    ],
)
def test_notes_of_other_types_are_left_out(run, text):
    (run / "state" / "started.json").write_text(text)
    assert "Training run" in made(run, "--scenes", "0").texts["h1"][0]
