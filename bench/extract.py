"""Cost of one frame: bundles, and backbones to choose from, against torchvision's resnet18 at 224 px, in one run.

    python -m bench.extract [--frames 64] [--rounds 5] [--backbones tf_efficientnet_lite0@192 resnet50@224 ...]

Rounds alternate between the models, and the medians are compared: the ratios hold on a noisy machine.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torchvision import models

from tca_model.bundle import DEFAULT, load_bundle
from tca_model.config import FrameConfig, RandomWeights
from tca_model.networks.backbone import build_backbone, normalisation
from tca_model.networks.extractor import BATCH_FRAMES, DescriptorExtractor
from tca_model.networks.frame_descriptor import FrameDescriptor
from tca_model.networks.whitening import Whitening


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default=DEFAULT)
    parser.add_argument("--backbones", nargs="*", default=[], metavar="NAME@PX")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    extractor = DescriptorExtractor(load_bundle(arguments.bundle), device="cpu")
    width, height = extractor.input_size
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (arguments.frames, height, width, 3), dtype=np.uint8)
    runs: dict[str, Callable[[], object]] = {f"bundle {arguments.bundle}": lambda: extractor.describe(images)}
    for name in ("resnet18", "resnet50"):
        runs[f"{name} at 224"] = classifier(name, arguments.frames)
    for backbone in arguments.backbones:
        runs[f"L3-iRMAC of {backbone}"] = make_run(backbone, arguments.frames)
    seconds = measure(runs, arguments.rounds)
    base = statistics.median(seconds["resnet18 at 224"])
    for name, durations_s in seconds.items():
        median = statistics.median(durations_s)
        each_ms = median / arguments.frames * 1e3
        print(f"{name:40} {each_ms:6.1f} ms per frame, {median / base:5.2f} of resnet18")  # noqa: T201


def classifier(name: str, frames: int) -> Callable[[], object]:
    """A run of an untrained torchvision network over that many frames: weights do not change its cost."""
    network = models.get_model(name, weights=None).eval().to(memory_format=torch.channels_last)
    return batches(network, torch.rand(BATCH_FRAMES, 3, 224, 224).contiguous(memory_format=torch.channels_last), frames)


def make_run(backbone_and_px: str, frames: int) -> Callable[[], object]:
    """A run of the frame descriptor on a backbone, `NAME@PX`, untrained and whitened to half of its dimensions."""
    name, _, px = backbone_and_px.partition("@")
    backbone = build_backbone(name).eval()
    mean, std = normalisation(name)
    pooled = sum(backbone.channels)
    config = FrameConfig(
        backbone=name, weights=RandomWeights(seed=0), input_px=int(px), mean=mean, std=std, dimension=pooled // 2
    )
    whitening = Whitening(torch.zeros(pooled), torch.rand(pooled, pooled // 2))
    network = FrameDescriptor(config, backbone, whitening).eval()
    return batches(network, torch.randint(256, (BATCH_FRAMES, int(px), int(px), 3), dtype=torch.uint8), frames)


def batches(network: torch.nn.Module, inputs: torch.Tensor, frames: int) -> Callable[[], object]:
    @torch.inference_mode()
    def run() -> None:
        for start in range(0, frames, BATCH_FRAMES):
            network(inputs[: min(BATCH_FRAMES, frames - start)])

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
