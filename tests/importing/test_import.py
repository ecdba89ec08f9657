"""Pairs of others become rows of a pairs folder by the rules of format 2, and every layout is read as it is written."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from d2crealsr.command.cli import main
from d2crealsr.dataset.exports import PAIR_EXPORTS
from d2crealsr.dataset.exports.export_pairs import export_pairs
from d2crealsr.dataset.split import split
from d2crealsr.dataset.verify import accept_edits, verify
from d2crealsr.errors import LayoutError, ScaleError
from d2crealsr.importing import import_pairs
from d2crealsr.store.images import foreign_colours, read_image, write_image
from d2crealsr.store.pairs import load_table, read_dataset, read_manifest
from d2crealsr.store.readers.pngs import with_chunk
from d2crealsr.store.tables import records
from tests.icc import ADOBE_RGB, WIDE_GREY, matrix_profile

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
EARLIER = ROOT / "tests" / "earlier" / "v0.1.0" / "pairs"
LAYOUTS = {layout.name: layout for layout in PAIR_EXPORTS}
CHEAP = ("imagefolder", "drealsr")
EACH = [pytest.param(name, marks=[] if name in CHEAP else pytest.mark.slow) for name in LAYOUTS]


def picture(path: Path, width: int, height: int, seed: int = 0) -> None:
    pixels = np.random.default_rng([seed, *path.stem.encode()]).integers(0, 256, (height, width, 3), dtype=np.uint8)
    write_image(path, pixels)


def two_folders(root: Path, *scenes: str, seed: int = 0) -> Path:
    for scene in scenes:
        picture(root / "HR" / f"{scene}.png", 16, 12, seed)
        picture(root / "LR" / f"{scene}.png", 8, 6, seed)
    return root


def rows(pairs: Path) -> dict[str, Mapping[str, Any]]:
    return {row["scene"]: row for row in records(read_manifest(pairs))}


def content(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize("layout", EACH)
def test_export_import_export_gives_the_same_bytes(layout: str, tmp_path: Path) -> None:
    first, again, back = tmp_path / "first", tmp_path / "again", tmp_path / "back"
    export_pairs(EARLIER, first, layout=LAYOUTS[layout])
    import_pairs(first, again, measure=False)
    assert {scene: row["split"] for scene, row in rows(again).items()} == {
        "astronaut": "test",
        "chelsea": "train",
        "coffee": "train",
    }
    assert verify(again, captures=True).findings == ()
    export_pairs(again, back, layout=LAYOUTS[layout])
    before, after = content(first), content(back)
    before.pop("README.md", None), after.pop("README.md", None)  # it says who made the pairs
    assert after == {name: data.replace(bytes(first), bytes(back)) for name, data in before.items()}


def test_imported_rows_have_what_format_2_says_and_nothing_of_an_estimate(tmp_path: Path) -> None:
    source = two_folders(tmp_path / "source", "0001", "0002_s001")
    result = import_pairs(source, tmp_path / "pairs", measure=False)
    assert (result.imported, result.scale, result.layout) == (2, 2, "folders")
    row = rows(tmp_path / "pairs")["0002_s001"]
    known = {name: value for name, value in row.items() if value not in (None, "")}
    digests = {name: known.pop(name) for name in list(known) if name.endswith("sha256")}
    assert known == {
        "scene": "0002_s001",
        "status": "accepted",
        "accepted_by": "import",
        "group": "0002",
        "scale": 2,
        "hr_path": "hr/0002_s001.png",
        "lr_path": "lr/0002_s001.png",
        "hr_source": "HR/0002_s001.png",
        "lr_source": "LR/0002_s001.png",
        "lr_x": 0,
        "lr_y": 0,
        "lr_width": 8,
        "lr_height": 6,
    }
    assert digests["hr_sha256"] == digests["hr_source_sha256"]
    described = read_dataset(tmp_path / "pairs")
    assert (described["imported_from"], described["scale"], described["version"]) == ("../source", 2, 2)
    assert load_table(tmp_path / "pairs", "alignment.csv").empty
    assert split(tmp_path / "pairs", test=1).new == 2


def test_audit_measures_what_is_imported(tmp_path: Path) -> None:
    for side in ("hr", "lr"):
        (tmp_path / "source" / side).mkdir(parents=True)
        shutil.copy(EARLIER / side / "coffee.png", tmp_path / "source" / side)
        turned = read_image(EARLIER / side / "chelsea.png")
        turned = turned[::-1, ::-1] if side == "lr" else turned
        write_image(tmp_path / "source" / side / "turned.png", np.ascontiguousarray(turned))
    result = import_pairs(tmp_path / "source", tmp_path / "pairs")
    (finding,) = result.findings
    assert finding.startswith("turned: different_content: correlation")
    good, bad = rows(tmp_path / "pairs")["coffee"], rows(tmp_path / "pairs")["turned"]
    assert good["residual_p50_hr_px"] < 0.5 < good["zncc"]
    assert good["message"] == ""
    assert bad["message"] == f"audit: {finding.removeprefix('turned: ')}"
    assert set(load_table(tmp_path / "pairs", "residuals.csv")["scene"]) == {"coffee", "turned"}
    assert verify(tmp_path / "pairs").findings == ()
    assert import_pairs(tmp_path / "source", tmp_path / "pairs").unchanged == 2


def test_only_new_pairs_are_measured(tmp_path: Path) -> None:
    source = two_folders(tmp_path / "source", "a", "b")
    measured: list[str] = []
    import_pairs(source, tmp_path / "pairs", on_pair=lambda done: measured.append(done.scene))
    assert measured == ["a", "b"]
    two_folders(source, "c", seed=5)
    assert import_pairs(source, tmp_path / "pairs", on_pair=lambda done: measured.append(done.scene)).imported == 1
    assert measured == ["a", "b", "c"]


def test_other_formats_and_reduced_pairs_become_png(tmp_path: Path) -> None:
    picture(tmp_path / "City100" / "001H.tif", 12, 8)
    picture(tmp_path / "City100" / "001L.bmp", 6, 4)
    picture(tmp_path / "City100" / "001L.tif", 6, 4)
    (tmp_path / "City100" / "001L.bmp").unlink()
    import_pairs(tmp_path / "City100", tmp_path / "pairs", measure=False)
    original = read_image(tmp_path / "City100" / "001H.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "pairs" / "hr" / "001.png"), original)
    for name in ("HR", "LR4"):
        picture(tmp_path / "RealSR" / "Train" / "4" / f"Canon_{name}.png", 13, 9)
    import_pairs(tmp_path / "RealSR", tmp_path / "reduced", scale=4, measure=False)
    row = rows(tmp_path / "reduced")["Canon"]
    assert (row["scale"], row["lr_width"], row["lr_height"], row["split"]) == (4, 3, 2, "train")
    assert verify(tmp_path / "reduced", captures=True).findings == ()
    assert import_pairs(tmp_path / "RealSR", tmp_path / "whole", measure=False).scale == 1


@pytest.mark.parametrize("kind", ["jpg", "grey.jpg", "png"])
def test_what_is_written_anew_keeps_its_colour_profile(kind: str, tmp_path: Path) -> None:
    grey = kind.startswith("grey")
    profile = matrix_profile("mine", WIDE_GREY if grey else ADOBE_RGB, 1.8)
    source = two_folders(tmp_path / "source", "a")
    for path in [*source.glob("*/a.png")]:
        if kind == "png":  # is reduced
            picture(path, 16, 16)
            path.write_bytes(with_chunk(path.read_bytes(), b"iCCP", b"icc\0\0" + zlib.compress(profile)))
            continue
        image = Image.open(path).convert("L" if grey else "RGB")
        image.save(path.with_suffix(".jpg"), icc_profile=profile)
        path.unlink()
    import_pairs(source, tmp_path / "pairs", scale=2, measure=False)
    for side in ("hr", "lr"):
        (before,) = (source / side.upper()).iterdir()
        after = tmp_path / "pairs" / side / "a.png"
        names = [foreign_colours(path.read_bytes(), path.name, convert=True) for path in (before, after)]
        assert names == ["mine", "mine"]
        with Image.open(after) as written:
            assert written.mode == ("L" if grey else "RGB")
            assert written.info["icc_profile"] == profile
        if kind != "png":
            np.testing.assert_array_equal(read_image(after), read_image(before))
    assert verify(tmp_path / "pairs", captures=True).findings == ()


def test_colours_without_a_profile_are_left_out_where_they_would_be_lost(tmp_path: Path) -> None:
    source = two_folders(tmp_path / "source", "a", "b")
    for name in ("a", "b"):
        picture(source / "LR" / f"{name}.png", 16, 12)
    strange = source / "HR" / "a.png"
    strange.write_bytes(with_chunk(strange.read_bytes(), b"cICP", bytes([9, 16, 0, 1])))
    result = import_pairs(source, tmp_path / "pairs", scale=2, measure=False)
    assert result.imported == 1
    assert [line.split(", ")[0] for line in result.left_out] == ["a: a.png: has the cICP chunk 9"]
    assert import_pairs(source, tmp_path / "whole", measure=False).imported == 2


def test_what_a_reviewer_left_out_is_not_taken_back(tmp_path: Path) -> None:
    shutil.copytree(EARLIER, tmp_path / "source")
    earlier = import_pairs(tmp_path / "source", tmp_path / "earlier", measure=False)
    assert (earlier.imported, earlier.notes) == (3, ())
    decisions = tmp_path / "decisions.csv"
    decisions.write_text("scene,decision,note\ncoffee,reject,blurred\n", encoding="utf-8")
    split(tmp_path / "source", decisions=decisions)
    result = import_pairs(tmp_path / "source", tmp_path / "pairs", measure=False)
    assert (result.imported, result.left_out) == (2, ())
    assert result.notes == ("left out by a reviewer: 1 accepted pair (coffee)",)
    assert sorted(rows(tmp_path / "pairs")) == ["astronaut", "chelsea"]
    again = import_pairs(tmp_path / "source", tmp_path / "earlier", measure=False)
    assert again.unchanged == 2
    assert "1 pair of them imported earlier (coffee)" in again.notes[-1]


def test_licence_and_citation_of_a_pairs_folder_are_taken_over(tmp_path: Path) -> None:
    shutil.copytree(EARLIER, tmp_path / "source")

    def terms() -> tuple[str, str]:
        import_pairs(tmp_path / "source", tmp_path / "pairs", measure=False)
        described = read_dataset(tmp_path / "pairs")
        return described["licence"], described["citation"]

    def state(**entries: str) -> None:
        path = tmp_path / "source" / "dataset.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | entries), encoding="utf-8")

    state(licence="", citation="")
    assert terms() == ("", "")
    state(licence="CC-BY-4.0", citation="Doe 2024")
    assert terms() == ("CC-BY-4.0", "Doe 2024")
    state(licence="CC0-1.0")
    assert terms() == ("CC-BY-4.0", "Doe 2024")  # what the folder says already stays
    assert verify(tmp_path / "pairs").findings == ()
    (tmp_path / "source" / "dataset.json").unlink()
    assert import_pairs(tmp_path / "source", tmp_path / "other", measure=False).imported == 3


def test_one_scale_is_chosen(tmp_path: Path) -> None:
    picture(tmp_path / "source" / "Canon_HR.png", 16, 16)
    for scale in (2, 4):
        picture(tmp_path / "source" / f"Canon_LR{scale}.png", 16 // scale, 16 // scale)
    with pytest.raises(ScaleError, match="has pairs of scales 2, 4; choose one with --scale"):
        import_pairs(tmp_path / "source", tmp_path / "pairs", measure=False)
    assert not (tmp_path / "pairs").exists()
    assert import_pairs(tmp_path / "source", tmp_path / "pairs", scale=4, measure=False).imported == 1
    with pytest.raises(LayoutError, match="its pairs are of scale 4, got 2"):
        import_pairs(tmp_path / "source", tmp_path / "pairs", scale=2, measure=False)


def test_what_cannot_be_a_pair_is_left_out_by_name(tmp_path: Path) -> None:
    source = two_folders(tmp_path / "source", "good", "small", "torn", "cut")
    picture(source / "LR" / "small.png", 7, 6)
    (source / "LR" / "torn.png").write_bytes(b"no image")
    (source / "HR" / "cut.png").write_bytes((source / "HR" / "cut.png").read_bytes()[:-60])
    result = import_pairs(source, tmp_path / "pairs", measure=False)
    assert result.imported == 1
    assert sorted(line.split(":")[0] for line in result.left_out) == ["cut", "small", "torn"]
    assert "small: HR is 16x12, expected a whole number of times LR's 7x6" in result.left_out
    assert list(rows(tmp_path / "pairs")) == ["good"]
    assert verify(tmp_path / "pairs").findings == ()


def test_a_second_import_adds_and_replaces_and_keeps_splits(tmp_path: Path) -> None:
    source = two_folders(tmp_path / "source", "a", "b")
    import_pairs(source, tmp_path / "pairs", measure=False)
    split(tmp_path / "pairs", test=1)
    before = {scene: row["split"] for scene, row in rows(tmp_path / "pairs").items()}
    two_folders(source, "a", "c", seed=1)
    result = import_pairs(source, tmp_path / "pairs", measure=False)
    assert (result.imported, result.unchanged) == (2, 1)
    after = rows(tmp_path / "pairs")
    assert {scene: row["split"] for scene, row in after.items()} == {**before, "c": ""}
    assert verify(tmp_path / "pairs", captures=True).findings == ()


def test_groups_that_were_corrected_in_the_source_arrive(tmp_path: Path) -> None:
    source, pairs = tmp_path / "source", tmp_path / "pairs"
    export_pairs(EARLIER, source, layout=LAYOUTS["imagefolder"])
    import_pairs(source, pairs, measure=False)
    for table in source.glob("*/metadata.csv"):
        text = table.read_text(encoding="utf-8")
        table.write_text(re.sub(r",(astronaut|chelsea),(?=\d)", ",same_card,", text), encoding="utf-8")
    result = import_pairs(source, pairs, measure=False)
    assert (result.imported, result.unchanged) == (2, 1)
    assert result.notes == ("2 pairs with unchanged images: group taken from the source (astronaut, chelsea)",)
    assert [row["group"] for row in rows(pairs).values()] == ["same_card", "same_card", "coffee"]
    assert [finding.code for finding in verify(pairs, captures=True).findings] == ["group_torn"]
    again = import_pairs(source, pairs, measure=False)
    assert (again.imported, again.unchanged, again.notes) == (0, 3, ())


def test_a_group_that_the_source_does_not_state_stays_as_it_was_edited(tmp_path: Path) -> None:
    source, pairs = two_folders(tmp_path / "source", "a", "b"), tmp_path / "pairs"
    import_pairs(source, pairs, measure=False)
    text = (pairs / "manifest.csv").read_text(encoding="utf-8")
    (pairs / "manifest.csv").write_text(re.sub(r",[ab],2,hr/", ",same_card,2,hr/", text), encoding="utf-8")
    accept_edits(pairs)
    two_folders(source, "a", seed=1)
    result = import_pairs(source, pairs, measure=False)
    assert (result.imported, result.unchanged, result.notes) == (1, 1, ())
    assert {row["group"] for row in rows(pairs).values()} == {"same_card"}


def test_what_the_source_says_later_of_splits_and_places_arrives(tmp_path: Path) -> None:
    """Equal images, images that change at the same time, and a pair that a reviewer of the pairs folder left out."""
    source, pairs = two_folders(tmp_path / "source", "a", "b", "changed", "out"), tmp_path / "pairs"
    import_pairs(source, pairs, measure=False)
    decisions = tmp_path / "decisions.csv"
    decisions.write_text("scene,decision,note\nout,reject,\n", encoding="utf-8")
    split(pairs, test=1, decisions=decisions)
    unsplit = re.sub(r"(?m)(accepted,,)(train|test)", r"\1", (pairs / "manifest.csv").read_text(encoding="utf-8"))
    (pairs / "manifest.csv").write_text(unsplit, encoding="utf-8")
    accept_edits(pairs)
    (source / "test").mkdir()
    (source / "HR").rename(source / "test" / "HR")
    (source / "LR").rename(source / "test" / "LR")
    two_folders(source / "test", "changed", seed=1)
    result = import_pairs(source, pairs, measure=False)
    assert (result.imported, result.unchanged) == (4, 0)
    expected = "3 pairs with unchanged images: hr_source, lr_source, split taken from the source (a, b, out)"
    assert result.notes == (expected,)
    splits = {"a": "test", "b": "test", "changed": "test", "out": ""}
    assert {scene: row["split"] for scene, row in rows(pairs).items()} == splits
    assert [row["hr_source"] for row in rows(pairs).values()] == [f"test/HR/{scene}.png" for scene in splits]
    assert verify(pairs, captures=True).findings == ()


def test_a_pair_that_moved_to_another_split_stays_in_its_own_with_a_note(tmp_path: Path) -> None:
    source, pairs = tmp_path / "source", tmp_path / "pairs"
    two_folders(source / "train", "a", "b")
    two_folders(source / "test", "c")
    import_pairs(source, pairs, measure=False)
    for side in ("HR", "LR"):
        (source / "train" / side / "b.png").rename(source / "test" / side / "b.png")
    result = import_pairs(source, pairs, measure=False)
    assert (result.imported, result.unchanged) == (1, 2)
    place, other = result.notes
    assert place == "1 pair with unchanged images: hr_source, lr_source taken from the source (b)"
    assert f"1 pair in another split than in {source} (b: train, not test)" in other
    assert "import into another folder" in other
    assert {scene: row["split"] for scene, row in rows(pairs).items()} == {"a": "train", "b": "train", "c": "test"}
    assert verify(pairs, captures=True).findings == ()
    again = import_pairs(source, pairs, measure=False)
    assert (again.imported, again.unchanged, again.notes) == (0, 3, (other,))


def test_pairs_of_others_stay_apart(tmp_path: Path) -> None:
    source = two_folders(tmp_path / "source", "a")
    import_pairs(source, tmp_path / "pairs", measure=False)
    other = two_folders(tmp_path / "other", "b")
    with pytest.raises(LayoutError, match=r"holds pairs imported from '\.\./source'; give another folder"):
        import_pairs(other, tmp_path / "pairs", measure=False)
    with pytest.raises(LayoutError, match=r"lies in .*, or holds it"):
        import_pairs(source, source / "pairs", measure=False)
    picture(tmp_path / "raw" / "hr" / "x.png", 8, 8)
    with pytest.raises(LayoutError, match=r"has 1 files in hr/ and lr/ and no dataset\.json"):
        import_pairs(source, tmp_path / "raw", measure=False)
    shutil.copytree(EARLIER, tmp_path / "aligned")
    coffee = two_folders(tmp_path / "coffee", "coffee")
    with pytest.raises(LayoutError, match=r"has scenes of these names that align made \(coffee\)"):
        import_pairs(coffee, tmp_path / "aligned", measure=False)


def test_align_keeps_imported_rows_and_refuses_their_names(tmp_path: Path) -> None:
    import_pairs(two_folders(tmp_path / "source", "a"), tmp_path / "pairs", measure=False)

    def align(scene: str, *words: str) -> str:
        for side in ("hr", "lr"):
            picture(tmp_path / scene / side / f"{scene}.png", 8, 8)
        command = ["align", str(tmp_path / scene), "--out", str(tmp_path / "pairs"), "--scale", "2", *words]
        return CliRunner().invoke(main, command).output

    assert "CAPTURES has scenes of the names of imported pairs (a); rename its captures" in align("a")
    assert "kept: 1 scene " in align("b")
    assert read_dataset(tmp_path / "pairs")["imported_from"] == "../source"
    assert sorted(rows(tmp_path / "pairs")) == ["a", "b"]
    assert verify(tmp_path / "pairs", captures=True).findings == ()
    align("b", "--prune")
    assert sorted(rows(tmp_path / "pairs")) == ["b"]


def test_names_with_folders_become_names_of_scenes(tmp_path: Path) -> None:
    source = two_folders(tmp_path / "source", "day/a", "night/a")
    import_pairs(source, tmp_path / "pairs", measure=False)
    assert sorted(rows(tmp_path / "pairs")) == ["day_a", "night_a"]
    two_folders(source, "day_a")
    with pytest.raises(LayoutError, match="would both be scene 'day_a'; rename one"):
        import_pairs(source, tmp_path / "other", measure=False)


def test_the_commands_of_the_documentation_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "exchange.md").read_text(encoding="utf-8")
    section = page.split("## From a pairs folder to another and back\n")[1]
    commands = re.findall(r"^    d2crealsr (.*)$", section, re.MULTILINE)
    assert len(commands) == 2
    shutil.copytree(EARLIER, tmp_path / "pairs")
    monkeypatch.chdir(tmp_path)
    said = [CliRunner().invoke(main, command.split()) for command in commands]
    assert [(done.exit_code, done.output) for done in said if done.exit_code] == []
    assert "3 pairs of scale 2 in again (3 imported, 0 unchanged)" in said[-1].output
    assert json.loads((tmp_path / "again" / "dataset.json").read_text())["imported_from"] == "../hub"
