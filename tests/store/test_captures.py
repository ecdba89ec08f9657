"""Raw layouts: which captures belong together, and what is refused."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from d2crealsr.errors import ImageError, LayoutError, MachineError, TableError
from d2crealsr.store.captures import Capture, captures_root, find_captures
from d2crealsr.store.images import read_image

if TYPE_CHECKING:
    from collections.abc import Iterator


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def found(raw: Path, scale: int = 8) -> list[tuple[str, str | None, str | None, str]]:
    def name(path: Path | None) -> str | None:
        return None if path is None else path.relative_to(captures_root(raw)).as_posix()

    return [(c.scene, name(c.hr), name(c.lr), c.group) for c in find_captures(raw, scale=scale)]


def test_folders_with_equal_stems(tmp_path: Path) -> None:
    touch(tmp_path, "hr/b.JPG", "lr/b.png", "hr/a.tif", "hr/.DS_Store", "hr/._b.jpg", "hr/notes.txt", "lr/c.png")
    assert found(tmp_path) == [
        ("a", "hr/a.tif", None, "a"),
        ("b", "hr/b.JPG", "lr/b.png", "b"),
        ("c", None, "lr/c.png", "c"),
    ]


def test_suffixes_with_scale(tmp_path: Path) -> None:
    touch(tmp_path, "Canon_001_HR.png", "Canon_001_LR4.png", "Canon_001_LR2.png", "Canon_002_LR4.png")
    assert found(tmp_path, 4) == [
        ("Canon_001", "Canon_001_HR.png", "Canon_001_LR4.png", "Canon_001"),
        ("Canon_002", None, "Canon_002_LR4.png", "Canon_002"),
    ]
    with pytest.raises(LayoutError, match="only _LR2, _LR4; give --scale 2"):
        find_captures(tmp_path, scale=8)


def test_letters(tmp_path: Path) -> None:
    touch(tmp_path, "001H.PNG", "001L.PNG", "016H.PNG", "BEACH.png", "readme.md")
    assert found(tmp_path, 1) == [("001", "001H.PNG", "001L.PNG", "001"), ("016", "016H.PNG", None, "016")]


@pytest.mark.parametrize("given_as", ["folder", "file"])
def test_manifest(given_as: str, tmp_path: Path) -> None:
    touch(tmp_path, "x/a.png", "x/b.png", "hr/other.png", "lr/other.png")
    text = "\ufeffscene,hr,lr,group,source\n2,x/a.png,x/b.png,card,me\n1,x/a.png,x/gone.png,,\n3,,x/../x/b.png,g,\n"
    (tmp_path / "manifest.csv").write_text(text, encoding="utf-8")
    assert found(tmp_path if given_as == "folder" else tmp_path / "manifest.csv") == [
        ("1", "x/a.png", None, "1"),
        ("2", "x/a.png", "x/b.png", "card"),
        ("3", None, "x/b.png", "g"),
    ]


def test_a_manifest_without_groups(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    (tmp_path / "list.csv").write_text("scene,hr,lr\n01,a.png,a.png\n")
    file = tmp_path / "a.png"
    assert find_captures(tmp_path / "list.csv") == [Capture(scene="01", hr=file, lr=file, group="01")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,../b.png,c.png,", r"manifest\.csv, row 3, column hr: got '\.\./b\.png', expected a relative path inside"),
        ("a,b.png,x/../../c.png,", r"row 3, column lr"),
        ("a,/b.png,c.png,", r"row 3, column hr"),
        ("a/b,b.png,c.png,", r"row 3: scene 'a/b' contains '/'"),
        (",b.png,c.png,", r"row 3: scene '' is empty"),
        (".a,b.png,c.png,", r"row 3: scene '\.a' begins with a dot"),
        ("a" * 201 + ",b.png,c.png,", r"row 3: scene 'a+' is 201 bytes"),
        ("ok,b.png,c.png,", r"rows 2 and 3: scenes 'ok' and 'ok'"),
        ("OK,b.png,c.png,", r"rows 2 and 3: scenes 'ok' and 'OK'"),
        ("a,b.png", r"row 3: got 2 cells, expected 4"),
        ("-0,b.png,c.png,", r"row 3: scene '-0' begins with '-', which spreadsheets take for a formula; rename"),
        ("+1,b.png,c.png,", r"row 3: scene '\+1' begins with '\+'"),
        ("=1+1,b.png,c.png,", r"row 3: scene '=1\+1' begins with '=', which spreadsheets take for a formula; rename"),
        ("a,b.png,c.png,@SUM(A1)", r"row 3, column group: '@SUM\(A1\)' begins with '@'"),
        ('a,b.png,c.png,"x\ty"', r"row 3, column group: 'x\\ty' contains control characters"),
        ("a,x/-b.png,c.png,", r"row 3, column hr: 'x/-b\.png' begins with '-'.*rename the file"),
    ],
)
def test_what_a_manifest_may_not_say(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(f"scene,hr,lr,group\nok,b.png,c.png,\n{line}\n")
    with pytest.raises((LayoutError, Exception), match=message) as caught:
        find_captures(tmp_path)
    assert getattr(caught.value, "exit_code", None) == 2


def test_rows_are_counted_with_those_of_another_scale(tmp_path: Path) -> None:
    header, other, scene = "scene,hr,lr,scale", "other,b.png,c.png,4", "{},b.png,c.png,2"
    for second, message in ((".b", r"row 4: scene '\.b' begins"), ("A", r"rows 2 and 4: scenes 'a' and 'A'")):
        lines = (header, scene.format("a"), other, scene.format(second))
        (tmp_path / "manifest.csv").write_text("\n".join(lines))
        with pytest.raises(LayoutError, match=message):
            find_captures(tmp_path, scale=2)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no captures found; expected a manifest.csv"),
        (["holiday.jpg", "notes.txt"], "no captures found"),
        (["hr/a.png"], "no captures found"),
        (["hr/.x", "lr/.x"], "no captures found"),
        (["hr/a.png", "hr/a.jpg", "lr/a.png"], r"a\.jpg and a\.png are both scene 'a'"),
        (
            ["hr/a.png", "hr/A.png", "lr/a.png"],
            r"scenes 'A' \(hr/A\.png\) and 'a' \(hr/a\.png, lr/a\.png\) differ only in case, and would share files",
        ),
        (
            ["hr/caf\u00e9.png", "hr/cafe\u0301.png", "lr/cafe\u0301.png"],
            r"lr/cafe\u0301\.png\) and .* \(hr/caf\u00e9\.png\) differ only in how accents are encoded",
        ),
        (
            ["hr/\u00c9.png", "hr/e\u0301.png", "lr/x.png"],
            "differ only in case and in how accents are encoded, and would",
        ),
        (["hr/a\nb.png", "lr/x.png"], "control characters"),
        (["=cmd()_HR.png", "=cmd()_LR8.png"], r"scene '=cmd\(\)' begins with '='"),
    ],
)
def test_layouts_that_are_refused(names: list[str], message: str, tmp_path: Path) -> None:
    touch(tmp_path, *names)
    with pytest.raises(LayoutError, match=message):
        find_captures(tmp_path)


def test_a_columns_control_characters_do_not_reach_the_error(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(b"\x0bx,\x0bx\n")
    with pytest.raises(TableError, match=r"columns twice: '\\x0bx'; restore"):
        find_captures(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="is not there"):
        find_captures(tmp_path / "nowhere")


@pytest.mark.parametrize("target", ["b.png", "c.png"], ids=["dangling", "loop"])
def test_a_link_that_leads_nowhere_is_a_capture_that_cannot_be_read(target: str, tmp_path: Path) -> None:
    """Not a missing one: there is something of that name, and the reader says what is wrong with it."""
    touch(tmp_path, "lr/a.png", "hr/d.png", "hr/folder.png/x")
    (tmp_path / "hr" / "a.png").symlink_to(target)
    (tmp_path / "hr" / "c.png").symlink_to("a.png")
    [capture, *_] = find_captures(tmp_path)
    assert capture.hr == tmp_path / "hr" / "a.png"
    with pytest.raises(ImageError, match=r"a\.png: cannot be read \((No such file|Too many levels)"):
        read_image(capture.hr)


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Root may read anything, so root's tests step down for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("closed", ["", "hr"])
def test_folders_that_may_not_be_read(closed: str, as_nobody: None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        touch(Path(folder), "hr/a.png", "lr/a.png")
        (Path(folder) / closed).chmod(0)
        try:
            with pytest.raises(MachineError, match=r"cannot be (read|listed) \(Permission denied\); check its permiss"):
                find_captures(Path(folder))
        finally:
            (Path(folder) / closed).chmod(0o700)


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
    with pytest.raises(LayoutError, match="columns missing: scene, hr, lr"):
        find_captures(tmp_path)
    (tmp_path / "manifest.csv").write_text("scene,hr,lr,group\n")
    with pytest.raises(LayoutError, match="no captures found"):
        find_captures(tmp_path)


def notes_of(raw: Path) -> list[str]:
    said: list[str] = []
    find_captures(raw, note=said.append)
    return said


def test_a_capture_of_a_kind_that_is_not_read_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "hr/a.PSD", "lr/a.jpg", "hr/b.jpg", "lr/b.jpg", "hr2/b.jpg", "hr/in/c.jpg")
    assert [capture.absent for capture in find_captures(tmp_path)] == [
        "1 file (hr/a.PSD) is there, of a kind that is not read; export it as TIFF or JPEG",
        "",
    ]
    assert notes_of(tmp_path) == [
        "1 folder (hr2) is left out: captures are taken from hr and lr alone",
        "1 image (hr/in/c.jpg) is in inner folders and left out",
        "1 file (hr/a.PSD) is left out, of a kind that is not read; export it as TIFF or JPEG",
    ]


@pytest.mark.parametrize(
    ("hr", "lr", "how"),
    [
        ("hr/caf\u00e9.jpg", "lr/cafe\u0301.jpg", "in how accents are encoded"),
        ("hr/IMG_1.jpg", "lr/img_1.jpg", "in case"),
        ("caf\u00e9_HR.png", "cafe\u0301_LR8.png", "in how accents are encoded"),
    ],
)
def test_hr_and_lr_whose_names_differ_in_form_only_are_paired_and_named(
    hr: str, lr: str, how: str, tmp_path: Path
) -> None:
    touch(tmp_path, hr, lr, *(["hr/b.jpg", "lr/b.jpg"] if "/" in hr else ["b_HR.png", "b_LR8.png"]))
    scene = Path(hr).stem.removesuffix("_HR")
    assert [row for row in found(tmp_path) if row[0] == scene] == [(scene, hr, lr, scene)]
    assert len(found(tmp_path)) == 2
    assert notes_of(tmp_path) == [f"1 LR file ({lr}) is paired with HR although the names differ {how}"]


def test_images_that_a_manifest_does_not_name_are_named(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{side}/{name}.jpg" for side in ("hr", "lr") for name in ("a", "b", "c")))
    rows = "scene,hr,lr,scale\na,hr/a.jpg,lr/a.jpg,\nb,x/../hr/b.jpg,lr/b.jpg,4\n,../x/y.jpg,/z/y.jpg,4\n"
    (tmp_path / "manifest.csv").write_text(rows)
    unnamed = "2 images (hr/c.jpg, lr/c.jpg) are in no row of manifest.csv and left out"
    assert notes_of(tmp_path)[1:] == [unnamed]
    said: list[str] = []
    find_captures(tmp_path / "manifest.csv", note=said.append)  # a list given by itself is a choice
    assert len(said) == 1
    (tmp_path / "frames.csv").write_text("frame,file\nx.jpg,hr/c.jpg\ny.jpg,\n")
    assert notes_of(tmp_path)[1:] == ["1 image (lr/c.jpg) is in no row of manifest.csv and left out"]
    (tmp_path / "frames.csv").write_bytes(b"\xff")
    assert notes_of(tmp_path)[1:] == [unnamed]
    for path in tmp_path.glob("?r/c.jpg"):
        path.unlink()
    touch(tmp_path, "reference/a.png", "sheet.png", "hr/in/d.jpg")
    assert len(notes_of(tmp_path)) == 1


def test_images_in_other_folders_than_the_captures_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a_HR.png", "a_LR8.png", "day2/b_HR.png", "day2/b_LR8.png", "day2/x.png", "day2/b_LR4.png")
    assert notes_of(tmp_path) == ["2 images (day2/b_HR.png, day2/b_LR8.png) are in inner folders and left out"]
    touch(tmp_path, "hr/a.png", "lr/a.png")
    for name in ("a_HR.png", "day2/x.png"):
        (tmp_path / name).unlink()
    assert notes_of(tmp_path) == ["1 image (a_LR8.png) is beside the folders hr and lr and left out"]


def test_folders_in_any_case(tmp_path: Path) -> None:
    touch(tmp_path, "HR/a.png", "Lr/a.png")
    assert found(tmp_path) == [("a", "HR/a.png", "Lr/a.png", "a")]
    touch(tmp_path, "hr/a.png")
    with pytest.raises(LayoutError, match="HR and hr may both hold the HR captures; give one, or a list"):
        find_captures(tmp_path)


@pytest.mark.parametrize(
    ("cell", "hint"), [("hr/b.jpg", ""), (r"hr\a.jpg", "; write / for "), ("a_LR{scale}.png", "; write the number")]
)
def test_a_manifests_path_that_is_not_there_is_named(cell: str, hint: str, tmp_path: Path) -> None:
    touch(tmp_path, "hr/a.jpg")
    (tmp_path / "manifest.csv").write_text(f"scene,hr,lr\na,{cell},hr/a.jpg\n")
    [capture] = find_captures(tmp_path)
    assert capture.hr is None
    assert capture.absent.startswith(f"{cell} is not there (row 2 of manifest.csv{hint}")


def test_semicolons_are_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("scene;hr;lr\na;x;y\n")
    with pytest.raises(TableError, match="separated by semicolons, expected commas"):
        find_captures(tmp_path)


def test_a_literal_scale_in_a_name(tmp_path: Path) -> None:
    touch(tmp_path, "a_HR.png", "a_LR{scale}.png")
    with pytest.raises(LayoutError, match=r"no captures found.*a_LR\{scale\}\.png.*as in a_LR8\.png"):
        find_captures(tmp_path)
