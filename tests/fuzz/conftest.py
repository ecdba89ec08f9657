"""How long the fuzz tests run: short by default, ``D2CREALSR_FUZZ=20000`` examples a test by hand."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_EXAMPLES = int(os.environ.get("D2CREALSR_FUZZ", "0"))

settings.register_profile(
    "fuzz",
    max_examples=_EXAMPLES or 60,
    derandomize=not _EXAMPLES,  # the same examples in every run, unless many are asked for
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink] if _EXAMPLES else [Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
