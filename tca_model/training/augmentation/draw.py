"""Random numbers of one training step, drawn on the CPU from its own seed: a resumed run, another device and another
number of processes draw the same."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Random numbers for the images of a batch, one per image, on the device of the images.

    If the images are frames of videos, all frames of a video share its numbers, except noise: `frames` is the number of
    frames per video, and the frames of a video are consecutive.
    """

    generator: torch.Generator
    device: torch.device
    frames: int = 1

    @classmethod
    def from_seeds(cls, device: torch.device, *seeds: int, frames: int = 1) -> Self:
        """A source that depends on all of the seeds (run, step, shard ...)."""
        mixed = 0
        for seed in seeds:  # the multiplier of a 64-bit linear congruential generator (Knuth's MMIX)
            mixed = (mixed * 6364136223846793005 + seed + 1442695040888963407) % 2**63
        return cls(torch.Generator().manual_seed(mixed), device, frames)

    def one(self, low: float, high: float) -> float:
        """One number between low and high for the whole batch."""
        return float(torch.rand(1, generator=self.generator) * (high - low) + low)

    def uniform(self, count: int, low: float, high: float, *shape: int) -> Tensor:
        """Numbers between low and high, (count, *shape)."""
        return self._per_frame(torch.rand(self._videos(count), *shape, generator=self.generator) * (high - low) + low)

    def normal(self, count: int, deviation: float, *shape: int) -> Tensor:
        """Normal numbers with mean 0, (count, *shape)."""
        return self._per_frame(torch.randn(self._videos(count), *shape, generator=self.generator) * deviation)

    def noise(self, like: Tensor) -> Tensor:
        """Standard normal numbers of the shape of `like`."""
        return torch.randn(like.shape, generator=self.generator).to(self.device)

    def chance(self, count: int, probability: float) -> Tensor:
        """Bools (count,), each true with that probability."""
        return self._per_frame(torch.rand(self._videos(count), generator=self.generator) < probability)

    def choice(self, count: int, options: int) -> Tensor:
        """Integers (count,) between 0 and options - 1."""
        return self._per_frame(torch.randint(options, (self._videos(count),), generator=self.generator))

    def order(self, count: int) -> Tensor:
        """A permutation (count,) of whole videos."""
        first = torch.randperm(self._videos(count), generator=self.generator) * self.frames
        return self._per_frame(first) + torch.arange(self.frames, device=self.device).repeat(len(first))

    def _videos(self, count: int) -> int:
        if count % self.frames:
            raise ValueError(f"{count} images are not whole videos of {self.frames} frames")
        return count // self.frames

    def _per_frame(self, numbers: Tensor) -> Tensor:
        return numbers.repeat_interleave(self.frames, dim=0).to(self.device)
