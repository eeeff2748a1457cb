"""Random numbers of one training step: drawn on the CPU from its own seed, so that a resumed run, another device and
another number of processes draw the same."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Numbers for the images of a batch, one each, on the device where the images are.

    Images that are frames of videos share them, noise excepted: `frames` is the number of each video's, which follow
    each other.
    """

    generator: torch.Generator
    device: torch.device
    frames: int = 1

    @classmethod
    def seeded(cls, device: torch.device, *seeds: int, frames: int = 1) -> Self:
        """A source that depends on every one of the seeds (run, step, shard ...)."""
        mixed = 0
        for seed in seeds:  # the multiplier of a 64-bit linear congruential generator (Knuth's MMIX)
            mixed = (mixed * 6364136223846793005 + seed + 1442695040888963407) % 2**63
        return cls(torch.Generator().manual_seed(mixed), device, frames)

    def one(self, low: float, high: float) -> float:
        """Between low and high, for the whole batch."""
        return float(torch.rand(1, generator=self.generator) * (high - low) + low)

    def uniform(self, count: int, low: float, high: float, *shape: int) -> Tensor:
        """(count, *shape) between low and high."""
        return self._shared(torch.rand(self._videos(count), *shape, generator=self.generator) * (high - low) + low)

    def normal(self, count: int, deviation: float, *shape: int) -> Tensor:
        """(count, *shape) around 0."""
        return self._shared(torch.randn(self._videos(count), *shape, generator=self.generator) * deviation)

    def noise(self, like: Tensor) -> Tensor:
        """Standard normal, of the shape of `like`."""
        return torch.randn(like.shape, generator=self.generator).to(self.device)

    def chance(self, count: int, probability: float) -> Tensor:
        """(count,) bool, each true with that probability."""
        return self._shared(torch.rand(self._videos(count), generator=self.generator) < probability)

    def choice(self, count: int, options: int) -> Tensor:
        """(count,) integers from 0 to options - 1."""
        return self._shared(torch.randint(options, (self._videos(count),), generator=self.generator))

    def order(self, count: int) -> Tensor:
        """(count,) a permutation, of whole videos."""
        first = torch.randperm(self._videos(count), generator=self.generator) * self.frames
        return self._shared(first) + torch.arange(self.frames, device=self.device).repeat(len(first))

    def _videos(self, count: int) -> int:
        if count % self.frames:
            raise ValueError(f"{count} images are no whole videos of {self.frames} frames")
        return count // self.frames

    def _shared(self, numbers: Tensor) -> Tensor:
        return numbers.repeat_interleave(self.frames, dim=0).to(self.device)
