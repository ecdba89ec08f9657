"""Settings refuse what is of another type, by name, and take the numbers of NumPy."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from d2crealsr.audit.pair import AuditSettings
from d2crealsr.cards.settings import CardSettings
from d2crealsr.errors import SettingsError
from d2crealsr.settings import AlignSettings, settings_from
from d2crealsr.simulate import SimulateSettings


@pytest.mark.parametrize(
    ("kind", "name", "value", "wanted"),
    [
        (AlignSettings, "scale", 8.0, "a whole number"),
        (AlignSettings, "scale", True, "a whole number"),
        (AlignSettings, "scale", "8", "a whole number"),
        (AlignSettings, "iters", 2.5, "a whole number"),
        (AlignSettings, "iters", np.float64(2), "a whole number"),
        (AlignSettings, "brightness", "no", "True or False"),
        (AlignSettings, "brightness", 1, "True or False"),
        (AlignSettings, "max_sigma", "0.2", "a number"),
        (AlignSettings, "max_sigma", None, "a number"),
        (AlignSettings, "max_sigma", False, "a number"),
        (AlignSettings, "max_sigma", np.ones(2), "a number"),
        (AlignSettings, "tone", 2.2, "a text"),
        (AlignSettings, "crop", (10, 10), "a text"),
        (AlignSettings, "refine", np.array(["none", "radial"]), "one of none, homography, radial"),
        (AuditSettings, "limit", "0.2", "a number"),
        (CardSettings, "dpi", 300.0, "a whole number"),
        (SimulateSettings, "nuisances", "fog", "a tuple of texts"),
        (SimulateSettings, "nuisances", (1,), "a tuple of texts"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: Any, name: str, value: Any, wanted: str) -> None:
    with pytest.raises(SettingsError) as caught:
        kind(**{name: value})
    assert str(caught.value) == f"{name}: got {value!r}, expected {wanted}"


def test_numbers_of_numpy_become_those_of_python() -> None:
    given: dict[str, Any] = {
        "scale": np.int64(4),
        "max_sigma": np.float32(0.5),
        "brightness": np.False_,
        "tone": np.str_("srgb"),
    }
    settings = AlignSettings(**given)
    assert settings == AlignSettings(scale=4, max_sigma=0.5, brightness=False, tone="srgb")
    kinds = {name: type(getattr(settings, name)) for name in given}
    assert kinds == {"scale": int, "max_sigma": float, "brightness": bool, "tone": str}
    stored = json.loads(json.dumps(dataclasses.asdict(settings)))
    assert settings_from(stored, "dataset.json") == settings


def test_a_whole_number_is_a_number_and_a_list_of_texts_a_tuple() -> None:
    assert AlignSettings(max_sigma=1).max_sigma == 1
    assert settings_from({"max_sigma": 1}, "dataset.json").max_sigma == 1
    assert SimulateSettings(nuisances=["lr-exposure-x4"]).nuisances == ("lr-exposure-x4",)  # type: ignore[arg-type]
