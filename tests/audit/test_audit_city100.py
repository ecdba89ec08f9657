"""The audit on real optics: City100's published pairs, where they are to be had."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from d2crealsr.audit.folder import audit

CITY100 = Path(os.environ.get("D2CREALSR_CITY100", "../shared/data/city100"))

pytestmark = pytest.mark.skipif(
    not CITY100.is_dir(), reason="City100 is not there; set D2CREALSR_CITY100 to its folder to run this"
)


@pytest.mark.slow
def test_published_pairs_show_more_than_the_floor(tmp_path: Path) -> None:
    """048 is the best aligned of them, 050 is .3 px off towards its sides; both are told from the estimator's error."""
    for name in ("048H.PNG", "048L.PNG", "050H.PNG", "050L.PNG"):
        shutil.copyfile(CITY100 / name, tmp_path / name)
    table = audit(tmp_path).table.set_index("scene")
    assert table["verdict"].to_dict() == {"048": "clean", "050": "misaligned"}
    assert (table["floor_smooth_hr_px"] < 0.04).all()
    assert (table["floor_p50_hr_px"] < table["residual_p50_hr_px"]).all()
    assert table.loc["048", "smooth_hr_px"] < 0.1
    assert table.loc["050", "constant_y_hr_px"] == pytest.approx(0.11, abs=0.04)
    assert (table["correlation"] > 0.95).all()
