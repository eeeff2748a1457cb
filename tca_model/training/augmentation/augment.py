"""Training edits of images: a table of edits and their probabilities.

All run on the device, on whole batches; each is applied to a random subset of the batch.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from tca_model.training.augmentation import degrade, warp
from tca_model.training.augmentation.draw import Draw
from tca_model.training.augmentation.overlays import draw_overlays, overlay


class Step(NamedTuple):
    probability: float
    edit: Callable[[Tensor, Draw], Tensor]


class Augment:
    """A weakly and a strongly edited view of each image."""

    def __init__(self, size_px: int, device: torch.device) -> None:
        if size_px % degrade.BLOCK:
            raise ValueError(f"the input size must be a multiple of {degrade.BLOCK}, got {size_px}")
        self._size_px, self.device = size_px, device
        paste = partial(overlay, overlays=draw_overlays().to(device))
        # In the order of a real picture's history: lit and filmed, cut, laid out, written on, uploaded.
        self._strong = (
            Step(0.35, degrade.light),
            Step(0.5, degrade.colour),
            Step(0.4, paste),
            Step(0.3, warp.frame_in_frame),
            Step(0.12, warp.stack),
            Step(0.2, warp.bars),
            Step(0.25, paste),
            Step(0.2, degrade.blur),
            Step(0.15, degrade.coarse),
            Step(0.25, degrade.noise),
            Step(0.35, degrade.compress),
        )
        self._weak = (Step(0.15, degrade.light), Step(0.3, degrade.coarse), Step(0.4, degrade.compress))

    def plain(self, images: Tensor) -> Tensor:
        """Only squashed to the input size: (B, H, W, 3) in uint8 -> (B, 3, size, size) in 0..1."""
        return interpolate(_unit(images), size=(self._size_px, self._size_px), mode="bilinear", antialias=True)

    def weak(self, images: Tensor, draw: Draw) -> Tensor:
        """Edits that a platform makes to an original: (B, H, W, 3) in uint8 -> (B, 3, size, size) in 0..1."""
        return _apply(self._weak, self.plain(images), draw)

    def strong(self, images: Tensor, draw: Draw) -> Tensor:
        """Edits that people make to copies: (B, H, W, 3) in uint8 -> (B, 3, size, size) in 0..1."""
        return _apply(self._strong, warp.warp(_unit(images), draw, self._size_px), draw)


def _unit(images: Tensor) -> Tensor:
    return images.permute(0, 3, 1, 2).float() / 255


def _apply(steps: tuple[Step, ...], images: Tensor, draw: Draw) -> Tensor:
    for step in steps:
        chosen = draw.chance(len(images), step.probability).nonzero().squeeze(1)
        if len(chosen):
            images = images.index_copy(0, chosen, step.edit(images[chosen], draw))
    return images
