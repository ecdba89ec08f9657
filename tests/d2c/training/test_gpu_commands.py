"""Training as a command on CUDA devices: resuming a run, two GPUs. Run with ``pytest -m gpu``."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

import d2c
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.training.train import Request, train
from d2crealsr.ui.progress import Reporter

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

MODEL = D2CConfig(scale=2, features=16, groups=1, blocks=2, convergence_features=16)
TRAIN = TrainConfig(batch=4, patch=8, lr=1e-3, steps=8, steps_convergence=6, margin=0.5, validation=0.2, save_every=2)


@pytest.mark.parametrize("stage", [1, 2])
def test_resume_goes_on_where_it_was(pairs, tmp_path, stage):
    class Stop(Reporter):
        def step(self, done, info=""):
            if self.what == f"stage {stage}" and done == 4:
                raise KeyboardInterrupt

        def start(self, what, total, done=0):
            self.what = what

    request = {"data": pairs, "model": MODEL, "train": TRAIN, "device": "cuda"}
    whole = train(Request(out=tmp_path / "whole", **request))
    with pytest.raises(KeyboardInterrupt):
        train(Request(out=tmp_path / "broken", **request), Stop())
    resumed = train(Request(out=tmp_path / "broken", **request))
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two GPUs")
@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_gpus_train_to_the_weights_of_one(pairs, tmp_path, accumulate):
    """Nobody has run this yet."""
    steps = {"steps": 3, "steps-convergence": 2, "patch": 8, "validation": 0.2, "accumulate": accumulate}
    options = ["--device", "cuda", "--preset", "tiny", *(f"--{name}={value}" for name, value in steps.items())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for count, name in ((1, "one"), (2, "two")):
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m", "d2c", "train"]
        where = ["--data", str(pairs), "--out", str(tmp_path / name)]
        subprocess.run([sys.executable, *command, *where, *options], env=environment, check=True)
    one, two = (d2c.load(tmp_path / name).state_dict() for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-2, atol=1e-3)
