"""A command writes over nothing that its own records do not name."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from d2crealsr.errors import LayoutError
from d2crealsr.store import lock_folder, page_folder
from d2crealsr.store.files import remove_leftovers
from d2crealsr.store.ownership import holdings, is_run, refuse_foreign, refuse_links

if TYPE_CHECKING:
    from pathlib import Path

MADE = {
    "hr/1.PNG": ("captures", "x"),
    "lr/1.tif": ("captures", "x"),
    "Canon_001_HR.png": ("captures", "x"),
    "001L.jpg": ("captures", "x"),
    "truth.csv": ("captures", "x"),
    "manifest.csv": ("captures", "scene,hr,lr\n"),
    "dataset.json": ("pairs", '{"format": "d2crealsr-pairs"}'),
    "config.toml": ("a training run", "[train]\nlr = 1\n"),
    "best.safetensors": ("checkpoints", "x"),
    "net_g.PTH": ("checkpoints", "x"),
    "index.html": ("a page", "x"),
}


@pytest.mark.parametrize("name", MADE)
def test_what_a_folder_holds_is_seen(tmp_path: Path, name: str) -> None:
    holding, content = MADE[name]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    assert {found: path.relative_to(tmp_path).as_posix() for found, path in holdings(tmp_path).items()} == {
        holding: name
    }
    with pytest.raises(LayoutError, match=f"holds {holding} .*, which this command did not make"):
        refuse_foreign(tmp_path, own="pairs" if holding != "pairs" else "captures")


def test_a_pairs_table_without_a_description_is_pairs(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("scene,status,hr_path,lr_path\n")
    (tmp_path / "hr").mkdir()
    (tmp_path / "hr" / "1.png").touch()
    assert list(holdings(tmp_path)) == ["pairs"]


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        ".DS_Store",
        "run.log",
        "photo.jpg",
        "report/index.html",
        "config.toml",
        "hr/._1.png",
        "._001L.jpg",
        "._best.safetensors",
    ],
)
def test_other_files_are_no_obstacle(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("[tool]\n")
    assert not holdings(tmp_path)
    assert not holdings(tmp_path / "not there")


@pytest.mark.parametrize("text", ["", "train = 1", "[model]\n", "[train", "\xff"])
def test_a_run_has_a_table_train(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text, encoding="latin-1")
    assert not is_run(tmp_path / "config.toml")


def test_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "files").symlink_to(tmp_path / "nowhere")
    with pytest.raises(LayoutError, match="files: is a link"):
        refuse_links(tmp_path, "other", "files")


def test_a_lock_is_not_written_through_a_link(tmp_path: Path) -> None:
    folder, precious = tmp_path / "folder", tmp_path / "precious"
    folder.mkdir()
    precious.write_text("mine")
    (folder / ".lock-holder").symlink_to(precious)
    with lock_folder(folder):
        assert json.loads((folder / ".lock-holder").read_text())["pid"]
    (folder / ".lock").unlink()
    (folder / ".lock").symlink_to(precious)
    with pytest.raises(LayoutError, match=r"\.lock: is a link"), lock_folder(folder):
        pass
    assert precious.read_text() == "mine"


def test_leftovers_are_files(tmp_path: Path) -> None:
    (tmp_path / ".tmp-mine").mkdir()
    (tmp_path / ".tmp-link").symlink_to(tmp_path / ".tmp-mine")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".tmp-mine"]


def test_a_page_removes_what_its_record_names_and_nothing_behind_a_link(tmp_path: Path) -> None:
    import re

    site, made = tmp_path / "site", re.compile(r"\d+")
    for name in ("1", "2", "mine"):
        (site / "files" / name).mkdir(parents=True)
    meta = '<meta name="generator" content="d2crealsr report">'
    page_folder.publish(site, meta, {"1"}, earlier=made)
    assert sorted(path.name for path in (site / "files").iterdir()) == ["1", "mine"]
    (site / "files" / "3").mkdir()
    (site / "files" / "4").mkdir()
    page_folder.claim(site, "d2crealsr report", made)
    page_folder.publish(site, meta, {"3"}, earlier=made)
    assert sorted(path.name for path in (site / "files").iterdir()) == ["3", "4", "mine"]
    with pytest.raises(LayoutError, match="that no `d2c report` made"):
        page_folder.claim(site, "d2c report", made)
    (site / "files").rename(tmp_path / "home")
    (site / "files").symlink_to(tmp_path / "home")
    with pytest.raises(LayoutError, match="files: is a link"):
        page_folder.claim(site, "d2crealsr report", made)
    with pytest.raises(LayoutError, match="files: is a link"):
        page_folder.publish(site, "x", earlier=made)
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["3", "4", "mine"]


@pytest.mark.parametrize("name", ["hr/a.NEF", "lr/a.heic", "a_HR.ARW"])
def test_captures_as_the_camera_wrote_them_are_captures(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(LayoutError, match=r"holds captures \(a"):
        refuse_foreign(tmp_path, own="a page")


def test_a_link_in_place_of_a_pages_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".page.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LayoutError, match=r"\.page\.json: is a link"):
        page_folder.claim(tmp_path, "d2crealsr report", re.compile("x"))
