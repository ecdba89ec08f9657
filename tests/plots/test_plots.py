"""What plots draw, read back from the drawn marks."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from d2crealsr import plots
from d2crealsr.errors import SettingsError
from d2crealsr.imaging.spectrum import FREQUENCIES, spectra, tone_pairs
from d2crealsr.plots import style
from d2crealsr.types import ResidualField

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Figure = pytest.importorskip("matplotlib.figure").Figure


@pytest.fixture
def ax() -> Axes:
    axes: Axes = Figure(layout="constrained").subplots()
    return axes


def manifest(**columns: Any) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"scene": [f"{n:03d}" for n in range(count)], "status": "accepted", "scale": 8, **columns})


def points(ax: Axes) -> dict[str, Any]:
    return {str(marks.get_label()): np.asarray(marks.get_offsets()).tolist() for marks in ax.collections}


def written(ax: Axes) -> str:
    return f"{ax.get_xlabel()} | {ax.get_ylabel()}"


def test_distribution_counts_accepted_pairs_only(ax: Axes) -> None:
    table = manifest(
        status=["accepted", "accepted", "rejected"],
        residual_p50_hr_px=[0.3, 0.1, 9.0],
        residual_p95_hr_px=[0.6, np.nan, 9.0],
    )
    assert plots.residual_distribution(table, ax) is ax
    p50, p95, _ = ax.lines
    assert np.asarray(p50.get_xydata()).tolist() == [[0, 0], [0.1, 50], [0.3, 100]]
    assert np.asarray(p95.get_xydata()).tolist() == [[0, 0], [0.6, 100]]
    assert p50.get_label() == "median block (median pair 0.2)"
    assert written(ax) == "residual [HR px] | pairs below [%]"


def test_stages_stand_in_their_order_whoever_stopped_early(ax: Axes) -> None:
    rows = [("a", 1, "rough", 0.4), ("a", 2, "direct", 0.1), ("b", 1, "rough", 0.8), ("b", 2, "sift", 0.2)]
    rows += [("b", 3, "direct", 0.3), ("c", 1, "rough", np.nan)]
    table = pd.DataFrame(rows, columns=["scene", "iteration", "stage", "residual_p50_hr_px"])
    plots.residual_by_stage(table, ax)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1 rough", "2 sift", "2 direct", "3 direct"]
    *scenes, median = ax.lines
    assert [np.asarray(line.get_xdata()).tolist() for line in scenes] == [[0, 2], [0, 1, 3]]
    assert np.asarray(median.get_ydata()).tolist() == pytest.approx([0.6, 0.2, 0.1, 0.3])
    assert median.get_label() == "median of 2 scenes"


def test_status_shows_by_marker_and_what_has_no_number_is_left_out(ax: Axes) -> None:
    table = manifest(
        status=["accepted", "rejected", "failed"],
        rotation_deg=[0.5, -1.0, np.nan],
        scale_effective=[8.1, 7.0, np.nan],
    )
    plots.scale_and_rotation(table, ax)
    assert points(ax) == {"accepted (1)": [[0.5, 8.1]], "rejected (1)": [[-1.0, 7.0]]}
    assert len({str(marks.get_paths()[0]) for marks in ax.collections}) == 2
    assert np.asarray(ax.lines[0].get_ydata()).tolist() == [8, 8]


def test_sharpness_counts_every_pair_once(ax: Axes) -> None:
    table = manifest(status=["accepted", "accepted", "rejected", "failed"], sharpness_ratio=[2.0, 3.0, 0.5, np.nan])
    plots.sharpness(table, ax)
    assert sum(bar.get_height() for bar in ax.patches) == 3
    assert min(bar.get_x() for bar in ax.patches if bar.get_height()) == 0.5
    plots.sharpness(table[:0], ax)  # nothing to show is no error


def test_inliers_and_predicted_against_measured(ax: Axes) -> None:
    table = manifest(
        n_inliers=pd.array([90, 30], dtype="Int64"),
        n_matches=pd.array([100, None], dtype="Int64"),
        sigma_hr_px=[0.02, 0.04],
        residual_p50_hr_px=[0.2, 0.1],
        true_error_mean_hr_px=[0.03, np.nan],
    )
    plots.inliers(table, ax)
    assert points(ax) == {"accepted (1)": [[90, 90]]}
    other = Figure().subplots()
    plots.predicted_and_measured(table, other, measured="true_error_mean_hr_px")
    assert points(other) == {"accepted (1)": [[0.02, 0.03]]}
    assert written(other) == "predicted standard error σ [HR px] | true error, mean [HR px]"


def field() -> ResidualField:
    x, y = np.meshgrid([100.0, 112.0, 124.0], [50.0, 62.0])
    return ResidualField(
        points_lr=np.column_stack([x.ravel(), y.ravel()]),
        shifts_hr_px=np.array([[0.3, 0.4], [0, 0.1], [0, 0], [-0.2, 0], [0, 0], [9, 9.0]]),
        weights=np.array([1, 0.5, 0.2, 1, 1, 0.0]),
        zncc=np.ones(6),
    )


def test_residual_field_shows_size_direction_and_what_was_not_measured(ax: Axes) -> None:
    measured = field()
    plots.residual_field(measured, ax)
    heat, arrows = ax.collections
    shown = np.ma.filled(heat.get_array(), np.nan)
    np.testing.assert_allclose(shown, [[0.5, 0.1, 0], [0.2, 0, np.nan]], atol=1e-12)
    assert ax.yaxis_inverted()
    assert arrows.XY.tolist() == measured.points_lr[:5].tolist()  # type: ignore[attr-defined]
    length = np.hypot(arrows.U, arrows.V)  # type: ignore[attr-defined]
    np.testing.assert_allclose(length / 12, np.linalg.norm(measured.shifts_hr_px[:5], axis=1) / 0.5)
    assert (arrows.U[0], arrows.V[0]) == pytest.approx((0.3 / 0.5 * 12, 0.4 / 0.5 * 12))  # type: ignore[attr-defined]
    assert np.asarray(ax.lines[0].get_xydata()).tolist() == [[124, 62]]
    key = ax.artists[0]
    assert key.text.get_text() == "0.5 HR px"  # type: ignore[attr-defined]
    assert pytest.approx(12) == key.U  # type: ignore[attr-defined]


def test_residual_field_of_a_table_needs_one_scene(ax: Axes) -> None:
    measured = field()
    columns = {"lr_x": measured.points_lr[:, 0], "lr_y": measured.points_lr[:, 1], "weight": measured.weights}
    columns |= {"dx_hr_px": measured.shifts_hr_px[:, 0], "dy_hr_px": measured.shifts_hr_px[:, 1]}
    table = pd.concat([pd.DataFrame({"scene": scene, **columns}) for scene in ("001", "002")])
    plots.residual_field(table, ax, scene="002", largest_hr_px=2)
    assert ax.collections[0].get_clim() == (0, 2)
    assert ax.get_title() == "002"
    with pytest.raises(ValueError, match="got 2 scenes for None"):
        plots.residual_field(table, ax)
    with pytest.raises(ValueError, match="got no rows for '003'"):
        plots.residual_field(table, ax, scene="003")


def stripes(period: float, size: int) -> Any:
    level = 128 + 100 * np.sin(2 * np.pi * (np.arange(size) + 0.5) / period)
    return np.repeat(np.round(np.broadcast_to(level, (size, size))).astype(np.uint8)[..., None], 3, axis=2)


def test_spectra_of_one_picture_at_two_samplings_are_equal() -> None:
    found = spectra(stripes(20.0, 256), stripes(5.0, 64))
    place = int(np.argmin(abs(FREQUENCIES - 0.2)))
    assert np.argmax(found.lr) == place == np.argmax(found.hr)
    assert found.hr[place] == pytest.approx(found.lr[place], rel=0.05)


def test_spectrum_ratio_shows_how_much_less_lr_holds(ax: Axes) -> None:
    lr = stripes(5.0, 64)
    faint = np.round(128 + (lr - 128.0) / 4).astype(np.uint8)
    plots.spectrum_ratio(((stripes(20.0, 256), image) for image in (lr, faint, faint)), ax)
    thin, _, _, median, _ = ax.lines
    place = int(np.argmin(abs(FREQUENCIES - 0.2)))
    assert np.asarray(thin.get_ydata())[place] == pytest.approx(1, rel=0.05)
    assert np.asarray(median.get_ydata())[place] == pytest.approx(4, rel=0.05)


def test_tones_of_a_matched_pair_lie_on_the_diagonal(ax: Axes) -> None:
    lr = np.random.default_rng(1).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    hr = lr.repeat(4, axis=0).repeat(4, axis=1)
    of_hr, of_lr = tone_pairs(hr, lr)
    assert of_hr.shape == (4 * 6,)
    np.testing.assert_allclose(of_hr, of_lr)
    sixteen = (hr.astype(np.uint16) * 257, lr.astype(np.uint16) * 257)
    np.testing.assert_allclose(tone_pairs(*sixteen)[0], of_hr)
    plots.joint_histogram(hr, lr, ax)
    counts = np.ma.filled(ax.collections[0].get_array(), 0)
    assert counts.sum() == 24
    assert np.trace(counts) == 24


@pytest.mark.parametrize("name", ["light", "dark"])
def test_colours_can_be_seen_on_both_themes(name: style.Theme) -> None:
    import matplotlib as mpl
    from matplotlib.colors import to_rgb

    def luminance(colour: str) -> float:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    page = luminance({"light": "#ffffff", "dark": "#1c1f22"}[name])
    before = mpl.rcParams["text.color"]
    with plots.theme(name):
        used = {3.0: [style.BLUE, style.ORANGE, style.TEAL, style.PURPLE, style.GREY]}
        used[4.5] = [mpl.rcParams["text.color"], mpl.rcParams["xtick.labelcolor"]]
    for least, colours in used.items():
        for colour in colours:
            low, high = sorted([page, luminance(colour)])
            assert (high + 0.05) / (low + 0.05) >= least, colour
    assert mpl.rcParams["text.color"] == before


def test_a_figure_is_made_where_none_is_given() -> None:
    import matplotlib as mpl
    from matplotlib import pyplot

    mpl.use("Agg")
    ax = plots.sharpness(manifest(sharpness_ratio=[2.0]))
    assert ax.figure is pyplot.gcf()
    pyplot.close("all")


def test_matplotlib_is_imported_with_the_first_plot_and_its_lack_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, d2crealsr.plots; print('matplotlib' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingsError, match="matplotlib is not installed"):
        plots.sharpness(manifest(sharpness_ratio=[2.0]))
