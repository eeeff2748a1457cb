"""A training run in a folder: the shared training loop, resumable checkpoints, a log, a plot of the loss."""

import csv
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from pydantic import JsonValue
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from tca_model.errors import TrainingError
from tca_model.files import replacing
from tca_model.training.distributed import ALONE, Processes

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.csv"
PLOT = "loss.png"
SAVE_EVERY_S = 60.0  # the most that an interruption loses
COLUMNS = ("step", "loss", "learning_rate", "seconds")

Advance = Callable[[int, int, float], None]  # steps done, steps in all, loss


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rate by step: linear warm-up, then half a cosine down to zero."""

    steps: int
    peak: float
    warmup: int = 0

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        return self.peak * 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / max(1, self.steps - self.warmup)))


class Run:
    """The resumable state of a training: steps done, weights, the optimizer's moments.

    The first of several processes writes, all read. Raises TrainingError if the folder has a checkpoint of another
    configuration, or one that cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        configuration: Mapping[str, JsonValue],
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        processes: Processes = ALONE,
    ) -> None:
        self.folder = folder
        self.done = 0
        self._configuration = json.dumps(configuration, sort_keys=True)
        self._module = module
        self._optimizer = optimizer
        self._processes = processes
        self._rows: list[tuple[int, float, float, float]] = []
        self._choices: dict[str, bool] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT).exists():
            self._resume()

    def choose(self, name: str, decide: Callable[[], bool]) -> bool:
        """What `decide` returned when the run began: a choice by timing must not change in the middle of it."""
        if name not in self._choices:
            self._choices[name] = decide()
        return self._choices[name]

    def loop(self, schedule: Schedule, loss_of: Callable[[int], Tensor], advance: Advance) -> None:
        """Run the remaining steps: `loss_of(step)`, backward, one step of the optimizer.

        Raises TrainingError if a loss, a gradient or a weight is not finite; the last checkpoint is kept.
        """
        started = time.monotonic() - self.seconds
        saved = time.monotonic()
        for step in range(self.done, schedule.steps):
            rate = schedule(step)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._optimizer.zero_grad(set_to_none=True)
            loss = loss_of(step)
            value = self._processes.mean(loss)
            self._check("loss", value, step, schedule)
            loss.backward()  # type: ignore[no-untyped-call]
            gradients = [
                p.grad for group in self._optimizer.param_groups for p in group["params"] if p.grad is not None
            ]
            self._check("gradient", float(nn.utils.get_total_norm(gradients)), step, schedule)
            self._optimizer.step()
            self._rows.append((step + 1, value, rate, round(time.monotonic() - started, 1)))
            advance(step + 1, schedule.steps, value)
            if time.monotonic() - saved >= SAVE_EVERY_S or step + 1 == schedule.steps:
                self._save(step + 1, schedule)
                saved = time.monotonic()

    def _check(self, what: str, value: float, step: int, schedule: Schedule) -> None:
        if not math.isfinite(value):
            kept = (
                f"{self.folder / CHECKPOINT} holds the run after step {self.done}" if self.done else "nothing is saved"
            )
            raise TrainingError(
                f"the {what} is {value} at step {step}: try a lower learning rate than {schedule.peak:g}, "
                f"in another folder; {kept}"
            )

    @property
    def seconds(self) -> float:
        """Training time so far, over all interruptions."""
        return self._rows[-1][3] if self._rows else 0.0

    @property
    def losses(self) -> list[float]:
        return [loss for _, loss, _, _ in self._rows]

    def _save(self, step: int, schedule: Schedule) -> None:
        tensors = {f"module.{name}": tensor.contiguous() for name, tensor in self._module.state_dict().items()}
        for tensor in tensors.values():
            self._check("largest weight", float(tensor.abs().max()) if tensor.numel() else 0.0, step, schedule)
        self.done = step
        if not self._processes.first:
            return
        for index, state in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": tensor.contiguous() for name, tensor in state.items()}
        tensors["log"] = torch.tensor(self._rows, dtype=torch.float64)
        metadata = {
            "configuration": self._configuration,
            "choices": json.dumps(self._choices),
            "step": str(step),
        }
        try:
            with replacing(self.folder / CHECKPOINT) as new:
                new.write_bytes(safetensors.torch.save(tensors, metadata))
            with (self.folder / LOG).open("w", newline="") as file:
                csv.writer(file).writerows([COLUMNS, *self._rows])
        except OSError as error:
            raise TrainingError(
                f"cannot write to {self.folder}: {error.strerror}; the latest checkpoint there is whole, "
                "make room and run the same command to continue"
            ) from error
        plot_losses(self._rows, self.folder / PLOT)

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"cannot read checkpoint {path} ({error}): remove it to start again") from error
        if (found := metadata.get("configuration")) != self._configuration:
            raise TrainingError(
                f"{path} is of another configuration ({_difference(found, self._configuration)}): "
                "use another folder, or remove it to start again"
            )
        try:
            self._module.load_state_dict(_under("module", tensors))
        except RuntimeError as error:
            raise TrainingError(f"{path} is of another network ({error}): use another folder") from error
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimizer", tensors).items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = tensor
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.done = int(metadata["step"])
        self._choices = json.loads(metadata.get("choices", "{}"))
        self._rows = [(int(step), loss, rate, seconds) for step, loss, rate, seconds in tensors["log"].tolist()]


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def _difference(found: str | None, wanted: str) -> str:
    if found is None:
        return "it names none"
    theirs, ours = json.loads(found), json.loads(wanted)
    names = [name for name in sorted(theirs | ours) if theirs.get(name) != ours.get(name)]
    return ", ".join(f"{name} {theirs.get(name)} there, {ours.get(name)} here" for name in names)


def plot_losses(rows: list[tuple[int, float, float, float]], path: Path) -> None:
    """Write the loss over steps and its running mean as PNG; do nothing without matplotlib (extra `viz`)."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    steps, losses = [row[0] for row in rows], [row[1] for row in rows]
    window = max(1, len(losses) // 50)
    smooth = [sum(part) / len(part) for i in range(len(losses)) if (part := losses[max(0, i - window) : i + 1])]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(steps, losses, alpha=0.3, label="loss")
    axes.plot(steps, smooth, label=f"mean of {window} steps")
    axes.set(xlabel="step", ylabel="loss")
    axes.legend()
    figure.savefig(path, dpi=120)


def bfloat16_is_faster(work: Callable[[], object], device: torch.device) -> bool:
    """Whether `work` runs faster under bfloat16 autocast: on a GPU if it is supported, on a CPU by a trial.

    Processors with only AVX2 emulate it, many times slower than float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    seconds = []
    for enabled in (False, True):
        with torch.autocast(device.type, torch.bfloat16, enabled=enabled):
            work()  # the first run allocates and compiles
            started = time.monotonic()
            work()
            seconds.append(time.monotonic() - started)
    return seconds[1] < seconds[0]
