"""Upscaling within a given memory: plans, limits, large results."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from click.testing import CliRunner

from d2c import D2CSR, D2CConfig
from d2c import device as memory
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.d2csr.entry import NETWORK
from d2c.d2csr.upscaler import maps_alive
from d2c.errors import ConfigError, DataError, MemoryNeedError
from d2c.inference import files as upscale
from d2c.inference import plan
from d2c.inference.files import Figures, Limits, plan_files, upscale_files
from d2c.inference.plan import make_plan, parse_size
from d2c.inference.run import upscale as upscale_image
from d2crealsr.store.images import read_image, write_image

MODEL = D2CConfig(scale=2, features=6, groups=1, blocks=1, reduction=3, convergence_features=5)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return D2CSR(MODEL).eval()


def noise(size, dtype=np.uint8):
    width, height = size
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (height, width, 3)).astype(dtype)


def test_less_memory_means_smaller_strips_then_files():
    paper, sizes = D2CConfig(), (2 * 10**9, 300 * 10**6, 125 * 10**6)
    plans = [make_plan(NETWORK.upscaler(paper), (432, 288), CPU, max_memory=size) for size in sizes]
    assert [p.spill for p in plans] == [False, False, True]
    assert plans[0].strip > plans[1].strip
    assert plans[2].spilled == maps_alive(paper) * 432 * 288 * 64 * 4
    for p, size in zip(plans, sizes, strict=True):
        assert p.memory <= size
        assert p.result == 3 * 3456 * 2304


def test_without_a_limit_what_is_free_decides(monkeypatch):
    monkeypatch.setattr(plan, "available_bytes", lambda device: 10**6)
    with pytest.raises(MemoryNeedError, match=r"image: upscaling 432x288 pixels by 8 needs about .*, cpu has 0.9 MB"):
        make_plan(NETWORK.upscaler(D2CConfig()), (432, 288), CPU)
    monkeypatch.setattr(plan, "available_bytes", lambda device: None)
    assert not make_plan(NETWORK.upscaler(D2CConfig()), (432, 288), CPU).spill
    assert memory.available_bytes(CPU) > 0


@pytest.mark.parametrize("text", ["", "2 apples", "GB", "-1GB", "0", "1e9", "9" * 400 + "GB"])
def test_sizes_that_are_none(text):
    with pytest.raises(ConfigError, match="expected a size such as 2GB"):
        parse_size(text)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_files_are_the_same_however_little_memory(model, tmp_path, dtype):
    write_image(tmp_path / "a.png", noise((21, 30), dtype))
    (whole,) = upscale_files(model, [tmp_path / "a.png"], tmp_path / "whole")
    least = plan_files(model, [tmp_path / "a.png"], tmp_path)[0].plan
    frugal = None
    for size in range(10_000, least.memory, 500):
        try:
            frugal = make_plan(NETWORK.upscaler(MODEL), (21, 30), CPU, sample_bytes=2, max_memory=size)
            break
        except MemoryNeedError:
            continue
    assert frugal is not None
    assert frugal.spill
    assert frugal.strip == 1
    (parts,) = upscale_files(
        model, [tmp_path / "a.png"], tmp_path / "parts", limits=Limits(max_memory=frugal.memory, spill=tmp_path / "s")
    )
    a, b = read_image(whole).astype(int), read_image(parts).astype(int)
    assert np.abs(a - b).max() <= 1  # a value on the edge between two integers may be rounded to either
    assert (a != b).mean() < 1e-2
    assert not list((tmp_path / "s").iterdir())


def test_large_results_are_big_tiffs(model, tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", noise((21, 30), np.uint16))
    (small,) = upscale_files(model, [tmp_path / "a.png"], tmp_path)
    monkeypatch.setattr(plan, "PNG_PIXELS", 1000)
    monkeypatch.setattr(upscale, "PNG_PIXELS", 1000)
    (large,) = upscale_files(model, [tmp_path / "a.png"], tmp_path)
    assert large == tmp_path / "a_x2.tif"
    with tifffile.TiffFile(large) as file:
        assert file.is_bigtiff
        assert np.array_equal(file.asarray(), read_image(small))
    assert not list(tmp_path.glob(".tmp-*"))
    rgba = np.dstack([noise((21, 30)), np.full((30, 21), 100, np.uint8)])
    write_image(tmp_path / "b.png", rgba)
    with pytest.raises(DataError, match=r"b\.png: has transparency"):
        upscale_files(model, [tmp_path / "b.png"], tmp_path)


def test_a_disk_that_is_too_small_is_said_before(model, tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", noise((21, 30)))
    usage = plan.shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(MemoryNeedError, match=r"a_x2\.png: needs up to .* on the disk of .*, 0.1 kB are free"):
        upscale_files(model, [tmp_path / "a.png"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "dtype", "size"), [("a.png", "u1", 1), ("a.png", "u2", 2), ("a.jpg", "u1", 1)])
def test_depth_is_read_from_the_header(model, tmp_path, name, dtype, size):
    write_image(tmp_path / name, noise((21, 30), np.dtype(dtype)))
    assert plan_files(model, [tmp_path / name], tmp_path)[0].plan.result == size * 3 * 42 * 60


def test_figures_keep_everything(model, tmp_path):
    write_image(tmp_path / "a.png", noise((21, 30)))
    plain, drawn = (
        plan_files(model, [tmp_path / "a.png"], tmp_path, wanted)[0].plan
        for wanted in (None, Figures(names=("branches",)))
    )
    assert drawn.keep_all
    assert drawn.memory > plain.memory


LIMITED = """
import resource, sys
import numpy as np, torch
from d2c import load
from d2c.inference.run import upscale_strips, as_image
from d2c.d2csr.entry import NETWORK
from d2c.inference.plan import make_plan
torch.set_num_threads(1)
model, pixels = load(sys.argv[1]), np.load(sys.argv[2])
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
spare = int(sys.argv[4])
used = 1024 * int(status["VmData"].split()[0])
resource.setrlimit(resource.RLIMIT_DATA, (used + spare + 40_000_000,) * 2)  # 40 MB: compiled convolutions, kernels
if sys.argv[5] == "whole":
    with torch.inference_mode():
        model(torch.rand(1, 3, *pixels.shape[:2]))
    sys.exit("it fits")
size = pixels.shape[1], pixels.shape[0]
plan = make_plan(NETWORK.upscaler(model.config), size, torch.device("cpu"), max_memory=spare)
assert plan.spill, plan
rows = [as_image(strip.sr) for strip in upscale_strips(model, pixels, plan)]
np.save(sys.argv[3], np.concatenate(rows))
"""


@pytest.mark.slow
def test_what_does_not_fit_whole_is_done_under_a_memory_limit(tmp_path):
    torch.manual_seed(0)
    config = D2CConfig(scale=4, features=32, groups=1, blocks=1, convergence_features=32)
    model = D2CSR(config).eval()
    native.save(tmp_path / "m.safetensors", model)
    pixels = noise((160, 200))
    np.save(tmp_path / "lr.npy", pixels)
    spare = 20_000_000
    arguments = [str(tmp_path / name) for name in ("m.safetensors", "lr.npy", "out.npy")] + [str(spare)]

    def run(how):
        command = [sys.executable, "-c", LIMITED, *arguments, how]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    failed = run("whole")
    assert failed.returncode == 1
    assert "allocate memory" in failed.stderr or "could not create a primitive" in failed.stderr
    done = run("parts")
    assert done.returncode == 0, done.stderr
    expected = upscale_image(model, pixels).sr
    assert np.abs(np.load(tmp_path / "out.npy") - expected).max() <= 1e-6


@pytest.mark.slow
def test_an_interrupted_run_leaves_no_files(tmp_path):
    native.save(tmp_path / "m.safetensors", D2CSR(D2CConfig(scale=2, features=32)))
    write_image(tmp_path / "a.png", noise((300, 400)))
    command = [sys.executable, "-m", "d2c", "upscale", str(tmp_path / "a.png"), "--device", "cpu"]
    command += ["--checkpoint", str(tmp_path / "m.safetensors"), "--out", str(tmp_path / "out"), "--max-memory", "60MB"]
    # A shell lets what it runs in the background ignore Ctrl-C.
    heeds = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heeds) as process:
        deadline = time.monotonic() + 60
        while not _mapped_files(process.pid, tmp_path / "out"):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert not list((tmp_path / "out").iterdir())


def _mapped_files(pid, folder):
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if f"{folder}/" in line and "(deleted)" in line]


def test_predictions_are_held_against_measured_peaks():
    from benchmarks.speed import memory_model

    (row,) = memory_model.rows_of({"tiny": memory_model.SMALL["tiny x2, 96x64"]})
    assert row["measured MB"] > 0
    assert row["predicted MB"] > 1


def test_the_command_plans_and_keeps_to_a_limit(model, tmp_path):
    native.save(tmp_path / "m.safetensors", model)
    write_image(tmp_path / "a.png", noise((21, 30)))
    command = ["upscale", str(tmp_path / "a.png"), "--checkpoint", str(tmp_path / "m.safetensors"), "--device", "cpu"]
    command += ["--out", str(tmp_path / "out")]
    planned = CliRunner().invoke(cli, [*command, "--plan"])
    assert planned.exit_code == 0, planned.output
    header, line = planned.output.splitlines()
    assert header.split()[:3] == ["file", "LR", "memory"]
    assert line.startswith("a.png  21x30  0.00 GB")
    (row,) = json.loads(CliRunner().invoke(cli, [*command, "--plan", "--json"]).stdout)
    assert (row["file"], row["width"], row["height"], row["spill"]) == ("a.png", 21, 30, False)
    assert not (tmp_path / "out").exists()
    for limit, code, message in (("1GB", 0, ""), ("1kB", 2, "--max-memory gives 1.0 kB"), ("much", 2, "such as 2GB")):
        found = CliRunner().invoke(cli, [*command, "--max-memory", limit])
        assert found.exit_code == code, found.output
        assert message in found.output
