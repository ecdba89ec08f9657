"""Train a network on the pairs of a dataset, stage by stage. A run can be resumed after any interruption.

The final weights depend only on the settings, the data and the number format, except for the order in which a device
adds numbers. Order, crops and augmentation are derived
from (seed, stage, step), and a state contains everything that the next step needs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from d2c.checkpoints import native
from d2c.data.belonging import KEPT, check_belonging
from d2c.data.cache import CachedPairs, ImageCache
from d2c.data.crop_weights import check_measured, crop_weights, digest, said
from d2c.data.datasets import Datasets
from d2c.data.hold_out import grouped, hold_out
from d2c.data.patches import CropSource
from d2c.data.records import fingerprint, pair_records
from d2c.device import default_threads, threads
from d2c.errors import CheckpointError, ConfigError
from d2c.evaluation.evaluate import check_measurable, is_measurable
from d2c.networks import DEFAULT, find
from d2c.precision import available_precision, permitting_tf32
from d2c.training import resume
from d2c.training.engine import world
from d2c.training.finite import not_finite
from d2c.training.log import RunLog, columns
from d2c.training.loop import StageRun
from d2c.training.memory import check_step_fits, check_validation_fits
from d2c.training.runfolder import RunFolder, claim
from d2c.training.stages import asked_stages, check_patch, stage_steps, stages_fact, with_stages
from d2c.training.start import initial_model
from d2crealsr.ui.interrupts import Interrupts
from d2crealsr.ui.progress import Reporter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from torch import nn

    from d2c.data.crop_weights import CropWeights
    from d2c.data.layouts import Pair
    from d2c.data.records import PairRecord
    from d2c.networks import Network, NetworkConfig, TrainSettings
    from d2c.networks.base.stage import Stage
    from d2c.training.engine import World
    from d2c.training.resume import Settings

__all__ = ["Request", "train"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to train, on which data, and where. Of these, only the data and ``weights`` influence the weights."""

    data: Path | Sequence[Path]
    """Folder or list of pairs, or several of them, of which the training split is used."""
    out: Path
    model: NetworkConfig
    train: TrainSettings
    network: str = DEFAULT
    """Name in the table of networks, or ``module:NAME``."""
    stage: str = "both"
    """Number of the stage to train; ``both`` or ``all`` for all of them."""
    device: str = "auto"
    cache: Path | None = None
    """Folder of decoded images; by default in ``out``."""
    weights: Path | None = None
    """Checkpoint with the initial weights, instead of random ones."""
    tensorboard: bool = False
    trust_pairs: bool = False
    """Whether to skip the check that the images of each pair show the same scene."""
    convert_profile: bool = False
    """Whether to convert images whose colour profile is not sRGB, or to refuse them."""
    data_weight: Sequence[float] = ()
    """Shares of the patches, one for each of ``data``; by default an epoch uses one patch of every pair."""
    validate_on: Path | None = None
    """Pairs to validate on, instead of training pairs that are held out."""
    cuda_graph: bool = True
    """Whether a step on CUDA runs as one graph, where that is possible."""
    threads: int | None = None
    """Threads of a CPU; by default those of the resumed run, or one for each physical core that may be used."""
    stages: tuple[type[Stage], ...] = ()
    """Stages in place of those of the network, which influence the weights too."""
    keep_at: frozenset[int] = frozenset()
    """Steps of a stage after which its weights are kept in a file of their own, :meth:`RunFolder.kept`."""
    command: tuple[str, ...] = ()
    """The typed command, for the report of the run."""

    @property
    def datasets(self) -> Datasets:
        """The datasets of the run; raises :class:`ConfigError` if they cannot be used together."""
        data = (self.data,) if isinstance(self.data, (str, os.PathLike)) else tuple(self.data)
        return Datasets(data=data, data_weight=tuple(self.data_weight), validate_on=self.validate_on)


def train(request: Request, reporter: Reporter | None = None, interrupts: Interrupts | None = None) -> nn.Module:
    """Train, or resume an interrupted run in the same ``out`` folder; returns the model on its device.

    If ``interrupts`` is open, a signal lets the current step finish, saves the state and raises Interrupted.

    Raises
    ------
    DataError, ConfigError
        When the data are unsuitable for training, or the folder contains a run with other settings.
    TrainingError
        When the loss or the weights are no longer finite. The last finite state remains.
    MemoryNeedError
        When a step would not fit into memory. Nothing has been started then.
    """
    network = with_stages(find(request.network), request.stages)
    check_patch(network, request.train)
    with world(request.device) as here, contextlib.ExitStack() as held:
        speaker = (reporter or Reporter()) if here.leads else Reporter()
        available_precision(request.train.precision, here.device)
        neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", here.size))
        check_step_fits(network, request.model, request.train, request.stage, here.device, here.size, neighbours)
        folder = RunFolder(request.out)
        claim(request.out)
        if here.leads:
            held.enter_context(folder.lock())
        held.enter_context(permitting_tf32(request.train.precision == "tf32" or request.train.tf32, here.device))
        held.enter_context(threads(_thread_count(request, folder, speaker)))
        return Training(request, network, folder, here, speaker, interrupts or Interrupts()).run()


def _thread_count(request: Request, folder: RunFolder, reporter: Reporter) -> int:
    """The number of threads of the run. A resumed one keeps its number unless another one was asked for."""
    recorded = None if folder.is_blank() else folder.threads()
    count = request.threads or recorded or default_threads()
    if recorded not in (None, count):
        reporter.note(f"resumed with {_threads_said(count)} in place of {recorded}")
    return count


def _threads_said(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"


class Training:
    """One process of a run."""

    def __init__(
        self,
        request: Request,
        network: Network,
        folder: RunFolder,
        here: World,
        reporter: Reporter,
        interrupts: Interrupts,
    ) -> None:
        self.request, self.network, self.folder, self.here = request, network, folder, here
        self.reporter, self.interrupts, self.config = reporter, interrupts, request.train
        self.precision = available_precision(self.config.precision, here.device, reporter.note)
        self.asked = asked_stages(network, self.config, request.stage)
        left_out: list[str] = []
        self.datasets, scale = request.datasets, request.model.scale
        if self.config.weigh_pairs:
            check_measured(self._folders().values())
        pairs = self.datasets.pairs(scale, left_out.append)
        outside = self.datasets.validation_pairs(scale, left_out.append)
        before = None if folder.is_blank() else folder.settings(request.network)
        for pair in outside or ():
            check_measurable(pair)
        if before is None and outside is None:
            self._parts(pairs)  # report unsuitable pairs before decoding
        cache = ImageCache(request.cache or folder.cache, convert_profile=request.convert_profile)
        every = [*pairs, *(outside or ())]
        cached = cache.images((p for pair in every for p in (pair.lr, pair.hr)), reporter.images("decoding"))
        if not request.trust_pairs:
            check_belonging(every, CachedPairs(every, cached), cached.digests.__getitem__, cache.folder / KEPT)
        self.state = self._state()
        self.saved = (self.state["stage"], self.state["step"]) if self.state else None
        chosen, held_out = resume.parts(before, pairs, cached.digests, lambda: self._parts(pairs), outside)
        records = pair_records(chosen, held_out, cached.digests)
        by_error = self._crop_weights(chosen)
        facts = {"data": fingerprint(records), "weights": self._started_from(before), **stages_fact(request.stages)}
        facts |= {"errors": digest(by_error)} if by_error else {}
        settings = resume.Settings(find(request.network), request.model, self.config, facts, records, self.datasets)
        if before:
            resume.check_same(before, settings, folder.path)
        mixture = self.datasets.mixture(chosen)
        self.source = CropSource(
            pairs=CachedPairs(chosen, cached), scale=scale, config=self.config, mixture=mixture, weights=by_error
        )
        self.validation = CachedPairs(held_out, cached)
        if before and self.saved:
            resume.check_lengths(
                before, settings._replace(network=network), self.source.steps_per_epoch, self.saved, folder.path
            )
        self._settle(before, settings)
        ahead = network.stages(self.config)[0 if self.state else min(self.asked) - 1 :]
        model = initial_model(network, request.model, self.config, request.weights, ahead, reporter.note)
        self.model = model.to(here.device)
        self.graph = here.device.type == "cuda" and request.cuda_graph and network.cuda_graph
        if self.graph and here.size > 1:
            reporter.note("several processes exchange gradients within a step, so it does not run as one CUDA graph")
        with here.ending_together():
            if here.leads:
                check_validation_fits(
                    *(self.model, network, request.model, self.config, request.stage, held_out),
                    graph=self.graph and here.size == 1,
                    outside=outside is not None,
                )
        for text in [*left_out, *self.datasets.said(chosen, [each.mean for each in by_error or ()])]:
            reporter.note(text)
        self._introduce(records)
        if max(here.size, self.config.accumulate) > 1 and any(isinstance(m, _BatchNorm) for m in model.modules()):
            reporter.note(
                "batch normalisation takes its means over the patches that pass through the network at once, so the "
                "results depend on the number of processes and on --accumulate"
            )
        if by_error:
            said(chosen, by_error, reporter.note)

    def _introduce(self, records: Sequence[PairRecord]) -> None:
        """Say how many pairs there are, and on which device the run is."""
        device, note = self.here.device, self.reporter.note
        trained, validated = (
            [record.hr_sha256 for record in records if record.part == part] for part in ("train", "validation")
        )
        known = set(trained)
        if both := sum(sha256 in known for sha256 in validated):
            note(f"{both} of the {len(validated)} pairs to validate on are trained on as well")
        where = f"{device}, {_threads_said(torch.get_num_threads())}" if device.type == "cpu" else str(device)
        where += "" if self.precision == "fp32" else f", {self.precision}"
        note(f"{len(trained)} pairs to train on, {len(validated)} to validate on; {where}")

    def _crop_weights(self, chosen: Sequence[Pair]) -> list[CropWeights] | None:
        """The weights of the crops of the pairs to train on; None without ``--weigh-pairs``."""
        if not self.config.weigh_pairs:
            return None
        return crop_weights(chosen, self._folders(), self.config.patch)

    def _folders(self) -> dict[str, Path | None]:
        """The datasets of the pairs to train on, by their source."""
        return dataclasses.replace(self.datasets, validate_on=None).sources()

    def _parts(self, pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
        """The pairs for training and those for validation in a new run."""
        return hold_out(grouped(pairs, self.config.group_by), self.config.validation, is_measurable)

    def _state(self) -> dict[str, Any] | None:
        """The state in the folder. A state that is not finite, which earlier versions could save, is refused."""
        state, best = self.folder.load_state(), self.folder.best
        if state and (found := not_finite({"weights": state["model"], **state["engine"]})):
            options = resume.from_run(self.folder.path, weights=best, stage=state["stage"])
            way = f"start a new run from the best weights with {options}" if best.exists() else "use another --out"
            raise CheckpointError(f"{self.folder.state}: {found} is not finite, so the run cannot go on; {way}")
        return state

    def _started_from(self, before: Settings | None) -> str:
        """Hash of the initial weights. When a run is resumed they need not be given again."""
        if self.request.weights is not None:
            return native.digest(self.request.weights)
        return before.facts.get("weights", "random") if before and self.state else "random"

    def _settle(self, before: Settings | None, settings: Settings) -> None:
        """Record the settings, which must be equal in all processes, and report those that changed on resuming."""
        if self.here.leads:
            self.folder.settle(settings)
            self.folder.note_start(
                data=self.datasets.data,
                device=str(self.here.device),
                precision=self.precision,
                threads=torch.get_num_threads(),
                command=self.request.command,
            )
        self.here.barrier()
        written = self.folder.settings(self.request.network)
        if written is not None and (
            written[:4] != settings[:4] or written.datasets.data_weight != settings.datasets.data_weight
        ):
            raise ConfigError(
                f"{self.folder.path}: another process of this run has other settings or data "
                f"({resume.settings_changes(written, settings) or 'data'}); start all with the same command"
            )
        if before and (changes := resume.settings_changes(before, settings)):
            begun = self.network.stages(self.config)[self.saved[0] - 1] if self.saved else None
            self.reporter.note(f"resumed with other settings: {changes}{resume.rate_said(before, settings, begun)}")

    def run(self) -> nn.Module:
        """Train the requested stages, beginning with the state in the folder."""
        state = self.state
        at_stage, at_step = self.saved or (0, 0)
        if state:
            with self.folder.taking_up():
                self.model.load_state_dict(state["model"])
            at_step -= bool(state["unlogged"])  # the row of that step is missing
        log = None
        if self.here.leads:
            tensorboard = self.folder.tensorboard if self.request.tensorboard else None
            names = columns(self.network, self.request.model, self.config)
            log = RunLog(self.folder.log, names, stage=at_stage, step=at_step, tensorboard=tensorboard)
        for number in self._left(at_stage, at_step):
            resumed = state if number == at_stage else None
            StageRun(self, number, resumed, log).run()
        if log is not None:
            log.close()
        self.here.barrier()
        return self.model.eval()

    def _left(self, at_stage: int, at_step: int) -> list[int]:
        """Numbers of the requested stages that are not finished."""
        done = at_stage - 1 if at_stage and at_step < self.steps(at_stage) else at_stage
        first = min(self.asked)
        before = list(enumerate(self.network.stages(self.config)[: first - 1], start=1))
        needed = [n for n, kind in before if n > done and (n == at_stage or not kind.may_be_left_out)]
        if needed and (self.state or self.request.weights is None):
            other = f"train stage {first} from a checkpoint in a new run (--weights RUN --stage {first} --out NEW)"
            raise ConfigError(
                f"stage: {self.folder.path} holds no finished stage {needed[-1]}, which stage {first} needs; "
                f"run it with --stage {needed[-1]} first, or {other if self.state else 'give --weights'}"
            )
        return [number for number in self.asked if number > done]

    def steps(self, number: int) -> int:
        """Number of steps of a stage."""
        kind = self.network.stages(self.config)[number - 1]
        return stage_steps(kind, self.source.steps_per_epoch, self.config)

    def steps_after(self, number: int) -> int:
        """Number of steps of the stages after this one."""
        return sum(self.steps(follows) for follows in self.asked if follows > number)
