"""Trains the frame descriptor to distinguish copies from other works: self-supervised, on pictures without labels.

Two views of each picture, weakly and strongly edited, are each other's positives; everything else in the batch is
negative. The loss is InfoNCE with the KoLeo regulariser, which spreads descriptors over the sphere, as in SSCD (Pizzi
et al., CVPR 2022, arXiv 2202.10261). L3-iRMAC of all four stages is trained with a projection after it. The projection
starts as the PCA whitening of the untrained network. In the end the PCA whitening of the trained network replaces it,
which is better than the trained projection (ARCHITECTURE.md). Batch norm keeps its pretrained statistics.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor

from tca_model.config import FrameConfig
from tca_model.errors import TrainingError
from tca_model.networks.backbone import load_backbone
from tca_model.networks.frame_descriptor import FrameDescriptor
from tca_model.networks.whitening import CovarianceAccumulator, Whitening
from tca_model.training.augmentation.augment import Augment
from tca_model.training.augmentation.draw import Draw
from tca_model.training.distributed import Processes
from tca_model.training.losses import info_nce, koleo
from tca_model.training.pictures import Pictures
from tca_model.training.recipes import SHARD, BackboneRecipe
from tca_model.training.run import Advance, Run, Schedule, bfloat16_is_faster

WHITENED_PICTURES = 8192  # enough for a covariance of 4000 dimensions


class TrainedBackbone(NamedTuple):
    descriptor: FrameDescriptor
    run: Run
    bfloat16: bool  # whether the network ran under autocast


def train_backbone(
    frame: FrameConfig,
    recipe: BackboneRecipe,
    pictures: Pictures,
    folder: Path,
    processes: Processes,
    advance: Advance,
) -> TrainedBackbone:
    """The trained frame descriptor of that configuration, and its run; an interrupted run is resumed.

    Raises TrainingError for fewer pictures than a batch, a loss that is not finite, or a checkpoint of another run.
    """
    device = processes.device
    model = _build_untrained(frame, recipe, pictures, device)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], recipe.learning_rate)
    configuration: dict[str, JsonValue] = {
        **recipe.model_dump(mode="json"),
        "frame": frame.model_dump(mode="json"),
        "pictures": len(pictures),
    }
    run = Run(folder, configuration, model, optimizer, processes)
    network = processes.wrap(model)
    augment = Augment(recipe.input_px, device)
    order = _Order(len(pictures), recipe.batch, recipe.seed)
    schedule = Schedule(max(1, round(recipe.epochs * order.steps_per_epoch)), recipe.learning_rate, recipe.warmup)

    trial = _pixels(augment.plain(torch.from_numpy(pictures.pixels[:SHARD].copy()).to(device)))
    low_precision = recipe.precision == "bfloat16"
    if recipe.precision == "auto":
        low_precision = run.choose(
            "low_precision", lambda: processes.agree(bfloat16_is_faster(lambda: model(trial).sum().backward(), device))
        )

    def loss_of(step: int) -> Tensor:
        chosen = order(step).reshape(-1, SHARD)
        weak, strong = [], []
        for shard in processes.share(len(chosen)):
            images = torch.from_numpy(pictures.pixels[chosen[shard]]).to(device)
            draw = Draw.from_seeds(device, recipe.seed, step, shard)
            weak.append(augment.weak(images, draw))
            strong.append(augment.strong(images, draw))
        with torch.autocast(device.type, torch.bfloat16, enabled=low_precision):
            descriptors = network(_pixels(torch.cat(weak + strong)))
        ours = torch.from_numpy(pictures.works[chosen[list(processes.share(len(chosen)))].ravel()]).to(device)
        theirs = torch.from_numpy(pictures.works[chosen.ravel()]).to(device)
        edited_weakly, edited_strongly = descriptors.float().chunk(2)
        return contrast(edited_weakly, edited_strongly, ours, theirs, recipe, processes)

    run.loop(schedule, loss_of, advance)
    model.whitening = fit_pca_whitening(model, pictures, frame.input_px, device)
    return TrainedBackbone(model, run, low_precision)


def contrast(
    weak: Tensor, strong: Tensor, ours: Tensor, theirs: Tensor, recipe: BackboneRecipe, processes: Processes
) -> Tensor:
    """The loss of this process's pairs (b, D) of works `ours` (b,) with the whole batch of works `theirs` (B,)."""
    every = torch.cat([processes.gather(weak), processes.gather(strong)])  # (2 B, D)
    anchors = torch.cat([weak, strong])  # (2 b, D)
    positive = (weak * strong).sum(dim=1).repeat(2)
    counted = ours.repeat(2).unsqueeze(1) != theirs.repeat(2)
    loss = info_nce(positive, anchors @ every.T, recipe.temperature, counted)
    return loss + recipe.koleo * koleo(every[len(theirs) :], theirs)


def _pixels(views: Tensor) -> Tensor:
    """(B, 3, H, W) in 0..1 to the input of FrameDescriptor, (B, H, W, 3) in 0..255, in channels-last order."""
    return views.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1) * 255


def _build_untrained(
    frame: FrameConfig, recipe: BackboneRecipe, pictures: Pictures, device: torch.device
) -> FrameDescriptor:
    backbone = load_backbone(frame.backbone, frame.weights, {})
    model = FrameDescriptor(frame, backbone, whitening=None).eval().to(device)
    model.whitening = fit_pca_whitening(model, pictures, recipe.input_px, device)
    model.whitening.projection.requires_grad_(True)
    return model


@torch.no_grad()
def fit_pca_whitening(model: FrameDescriptor, pictures: Pictures, size_px: int, device: torch.device) -> Whitening:
    """The PCA whitening of the model's pooled vectors of unedited pictures, to the configured dimension."""
    pooled = FrameDescriptor(model.config, model.backbone, whitening=None).to(device)
    statistics = CovarianceAccumulator(sum(model.backbone.channels))
    plain = Augment(size_px, device).plain
    some = np.sort(np.random.default_rng(0).permutation(len(pictures))[:WHITENED_PICTURES])
    for start in range(0, len(some), SHARD):
        images = torch.from_numpy(pictures.pixels[some[start : start + SHARD]]).to(device)
        statistics.update(pooled(_pixels(plain(images))))
    return Whitening.fit(statistics, model.config.dimension).to(device)


class _Order:
    """The pictures of each step: every epoch uses all of them once in a new order, except an incomplete last batch."""

    def __init__(self, pictures: int, batch: int, seed: int) -> None:
        if pictures < batch:
            raise TrainingError(f"{pictures} pictures do not fill a batch of {batch}: give more, or a smaller batch")
        self._pictures, self._batch, self._seed = pictures, batch, seed
        self.steps_per_epoch = pictures // batch

    def __call__(self, step: int) -> NDArray[np.int64]:
        epoch, within = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self._seed, epoch]).permutation(self._pictures)
        return order[within * self._batch : (within + 1) * self._batch]
