"""Cost of one frame: the shipped bundle against torchvision's resnet18 and resnet50 at 224 px, in one run.

    python -m bench.extract [--frames 64] [--rounds 5]

Rounds alternate between the models, and the medians are compared: the ratios hold on a noisy machine.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torchvision import models

from tca_model.bundle import load_bundle
from tca_model.extractor import DescriptorExtractor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default="bootstrap")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    extractor = DescriptorExtractor(load_bundle(arguments.bundle), device="cpu")
    width, height = extractor.input_size
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (arguments.frames, height, width, 3), dtype=np.uint8)
    runs: dict[str, Callable[[], object]] = {f"bundle {arguments.bundle}": lambda: extractor.describe(images)}
    for name in ("resnet18", "resnet50"):
        runs[f"{name} at 224"] = classifier(name, arguments.frames, extractor.batch_frames)
    seconds = measure(runs, arguments.rounds)
    base = statistics.median(seconds["resnet18 at 224"])
    for name, taken in seconds.items():
        median = statistics.median(taken)
        print(f"{name:18} {median / arguments.frames * 1e3:6.1f} ms a frame, {median / base:5.2f} of resnet18")  # noqa: T201


def classifier(name: str, frames: int, batch: int) -> Callable[[], object]:
    """A run of an untrained torchvision network over that many frames: weights do not change its cost."""
    network = models.get_model(name, weights=None).eval().to(memory_format=torch.channels_last)
    inputs = torch.rand(batch, 3, 224, 224).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> None:
        for start in range(0, frames, batch):
            network(inputs[: min(batch, frames - start)])

    return run


def measure(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each run in each round; one round before them warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    main()
