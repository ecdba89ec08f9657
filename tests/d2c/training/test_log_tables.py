"""``log.csv`` as a spreadsheet, an editor or a kill leaves it: read where that is safe, else one line that names it."""

from __future__ import annotations

import math
import os

import pytest

pytest.importorskip("torch")

from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.entry import NETWORK
from d2c.errors import DataError
from d2c.report.curves import figures, read_log
from d2c.training.log import RunLog, columns

NAMES = columns(NETWORK, D2CConfig(depth=1), TrainConfig())


def text(rows=((1, 1), (1, 2))):
    lines = [[str(stage), str(step), *["0.5"] * (len(NAMES) - 2)] for stage, step in rows]
    return "\n".join([",".join(NAMES), *(",".join(line) for line in lines), ""])


GOOD = text()


@pytest.mark.parametrize(
    "content",
    [
        GOOD.replace(",", ";").encode(),
        GOOD.replace(",", ";").replace(".", ",").encode(),
        GOOD.replace(",", "\t").encode(),
        GOOD.encode("utf-16"),
        GOOD.encode() + b"\xff\n",
        GOOD.replace("1,2,", "1,1.5,").encode(),
        GOOD.replace("1,2,", "1,inf,").encode(),
        GOOD.replace("1,2,", "1,,").encode(),
        GOOD.replace("1,2,", "1,1e5,").encode(),
        GOOD.replace("1,2,", f"1,{'9' * 5000},").encode(),
        GOOD.replace("0.5", "half", 1).encode(),
        GOOD.replace("0.5", '"0,5"', 1).encode(),
        "\n".join(f"{line},x" for line in GOOD.splitlines()).encode() + b"\n",
        GOOD.replace("1,2,0.5,", "1,2,").encode(),
        GOOD.replace("stage,", "\x1b[2J,", 1).encode(),
        GOOD.replace("stage,step", "step,step", 1).encode(),
        GOOD.encode() + b'1,3,"\n',
        GOOD.encode() + b"1,3\0,\n",
        b"\x89PNG\r\n\x1a\n" + bytes(100) + b"\n",
    ],
)
def test_a_log_that_is_none_is_one_line(content, tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    for read in (lambda: RunLog(path, NAMES, stage=1, step=9), lambda: read_log(path)):
        with pytest.raises(DataError, match=r"^[^\n\x1b]*log\.csv[^\n\x1b]*; restore it, or move it away[^\n]*$"):
            read()
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        ("\ufeff" + GOOD).encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.encode() + b"\n\n" + b"," * (len(NAMES) - 1) + b"\n",
        GOOD.encode() + b"1,3,0.",
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in GOOD.splitlines()).encode() + b"\n",
    ],
)
def test_what_changes_no_number_is_read_and_written_as_it_was(content, tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    assert len(read_log(path).rows) == 2
    RunLog(path, NAMES, stage=1, step=9)
    assert path.read_text() == GOOD


def test_a_pipe_or_folder_in_its_place(tmp_path):
    os.mkfifo(tmp_path / "log.csv")
    with pytest.raises(DataError, match=r"log\.csv: cannot be read \(is a pipe"):
        read_log(tmp_path / "log.csv")


@pytest.mark.parametrize("value", ["1e308", "-1e308", "5e-324", "nan", "inf"])
def test_numbers_that_are_no_measurement_draw_no_chart_that_fails(value, tmp_path):
    (tmp_path / "log.csv").write_text(text(((1, 0), (1, 2**53), (2, 3))).replace("0.5", value, 20))
    for figure in figures(read_log(tmp_path / "log.csv"), NETWORK, TrainConfig()):
        assert all(math.isfinite(tick.at) for tick in (*figure.chart.x_ticks, *figure.chart.y_ticks))


def test_a_log_of_steps_that_were_not_saved_may_be_of_another_network(tmp_path):
    path = tmp_path / "log.csv"
    other = "stage,step,epoch,lr,l1\n1,1,0,0.001,0.5\n"
    path.write_text(other)
    with pytest.raises(DataError, match="has a column 'l1', which this run's log does not"):
        RunLog(path, NAMES, stage=1, step=1)
    RunLog(path, NAMES, stage=0, step=0)
    assert path.read_text() == ",".join(NAMES) + "\n"
    path.write_text("mine\n")
    with pytest.raises(DataError, match="is not the log of a run"):
        RunLog(path, NAMES, stage=0, step=0)
