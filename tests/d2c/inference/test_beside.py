"""Files that are decoded and encoded by threads beside a card: the order of what is said, what fails, what is kept."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from d2c import D2CSR, D2CConfig
from d2c.errors import BatchError
from d2c.inference import files
from d2c.inference.beside import computes_beside, work_through
from d2c.inference.files import Figures, Limits, upscale_files
from d2crealsr.store.images import write_image
from d2crealsr.ui.progress import Reporter

TINY = D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, reduction=2, convergence_features=4)


class Listen(Reporter):
    def __init__(self):
        self.notes, self.steps = [], []

    def note(self, text):
        self.notes.append(text)

    def step(self, done, info=""):
        self.steps.append(done)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return D2CSR(TINY).eval()


@pytest.fixture
def photos(tmp_path):
    for k, name in enumerate("abcde"):
        image = np.random.default_rng(k).integers(0, 256, (6, 8, 3)).astype(np.uint8)
        write_image(tmp_path / f"photos/{name}.png", image)
    return tmp_path / "photos"


@pytest.fixture
def beside(monkeypatch):
    monkeypatch.setattr(files, "computes_beside", lambda device: True)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_threads_stand_beside_cards_alone():
    assert computes_beside(torch.device("cuda:1"))
    assert not computes_beside(torch.device("cpu"))


def test_the_files_are_those_that_are_made_in_turn(model, photos, tmp_path, monkeypatch):
    listen = [Listen(), Listen()]
    for k, wanted in enumerate((None, Figures(names=("branches",)))):
        upscale_files(model, [photos], tmp_path / f"turn{k}", wanted, listen[0])
    monkeypatch.setattr(files, "computes_beside", lambda device: True)
    for k, wanted in enumerate((None, Figures(names=("branches",)))):
        upscale_files(model, [photos], tmp_path / f"beside{k}", wanted, listen[1])
        assert contents(tmp_path / f"beside{k}") == contents(tmp_path / f"turn{k}")
    assert sorted(set(listen[1].steps)) == sorted(set(listen[0].steps))
    assert upscale_files(model, [photos], tmp_path / "beside0", None, listen[1])
    assert listen[1].notes == ["5 of 5 results are there already"]


@pytest.mark.usefixtures("beside")
def test_failures_are_said_in_the_order_of_the_files(model, photos, tmp_path, monkeypatch):
    read, write = files._pixels, files.output.write_png

    def pixels(job, limits):
        if job.source.name == "d.png":
            raise files.DataError("d cannot be read")
        return read(job, limits)

    def written(path, *rest):
        if path.name in ("a_x2.png", "c_x2.png"):
            raise files.DataError(f"{path.name} cannot be written")
        write(path, *rest)

    monkeypatch.setattr(files, "_pixels", pixels)
    monkeypatch.setattr(files.output, "write_png", written)
    listen = Listen()
    with pytest.raises(BatchError, match="3 of 5 could not be worked on, the others are done"):
        upscale_files(model, [photos], tmp_path / "out", None, listen, Limits())
    assert listen.notes == [
        "left out: a_x2.png cannot be written",
        "left out: c_x2.png cannot be written",
        "left out: d cannot be read",
    ]
    assert sorted(contents(tmp_path / "out")) == ["b_x2.png", "e_x2.png"]
    assert listen.steps == sorted(listen.steps)


@pytest.mark.usefixtures("beside")
def test_an_interruption_keeps_what_was_being_written(model, photos, tmp_path, monkeypatch):
    upscaled, seen = files._upscale_file, []

    def interrupted(model, job, *rest):
        seen.append(job.source.name)
        if len(seen) == 3:
            raise KeyboardInterrupt
        upscaled(model, job, *rest)

    monkeypatch.setattr(files, "_upscale_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        upscale_files(model, [photos], tmp_path / "out")
    assert sorted(contents(tmp_path / "out")) == ["a_x2.png", "b_x2.png"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("beside")]
    seen.clear()
    monkeypatch.setattr(files, "_upscale_file", upscaled)
    assert len(upscale_files(model, [photos], tmp_path / "out")) == 5


def test_an_interruption_writes_what_was_computed_and_reads_no_more():
    read, written, begun = [], [], threading.Event()

    def compute(job, _):
        assert job == 0 or begun.wait(5)
        return lambda: (begun.set(), time.sleep(0.05), written.append(job))

    def conclude(job, wait):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_through(range(9), read.append, compute, conclude, threads=True)
    assert written == [0, 1]
    assert 8 not in read


def test_reading_is_ahead_and_writing_behind_by_so_many_files():
    events, writing, may_write = [], threading.Event(), threading.Event()

    def read(job):
        events.append(("read", job))
        return job

    def compute(job, decoded):
        if job == 1:
            assert writing.wait(5), "0 is written while 1 is computed"
            may_write.set()
        reads = [number for kind, number in list(events) if kind == "read"]
        assert max(reads) <= job + 3
        assert decoded == job
        return lambda: (writing.set(), may_write.wait(5))

    concluded = []
    work_through(range(6), read, compute, lambda job, wait: concluded.append((job, wait())), threads=True)
    assert [job for job, _ in concluded] == list(range(6))


def test_without_room_a_file_is_written_before_the_next_is_computed():
    order = []
    work_through(
        "ab",
        lambda job: job,
        lambda job, _: (order.append(f"compute {job}"), lambda: order.append(f"write {job}"))[1],
        lambda job, wait: wait(),
        threads=True,
        room=lambda *_: False,
    )
    assert order == ["compute a", "write a", "compute b", "write b"]
