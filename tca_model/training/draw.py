"""Random numbers of one training step: drawn on the CPU from its own seed, so that a resumed run, another device and
another number of processes draw the same."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Numbers for the images of a batch, one each, on the device where the images are."""

    generator: torch.Generator
    device: torch.device

    @classmethod
    def seeded(cls, device: torch.device, *seeds: int) -> Self:
        """A source that depends on every one of the seeds (run, step, shard ...)."""
        mixed = 0
        for seed in seeds:  # the multiplier of a 64-bit linear congruential generator (Knuth's MMIX)
            mixed = (mixed * 6364136223846793005 + seed + 1442695040888963407) % 2**63
        return cls(torch.Generator().manual_seed(mixed), device)

    def uniform(self, count: int, low: float, high: float) -> Tensor:
        """(count,) between low and high."""
        return (torch.rand(count, generator=self.generator) * (high - low) + low).to(self.device)

    def normal(self, count: int, deviation: float) -> Tensor:
        """(count,) around 0."""
        return (torch.randn(count, generator=self.generator) * deviation).to(self.device)

    def noise(self, like: Tensor) -> Tensor:
        """Standard normal, of the shape of `like`."""
        return torch.randn(like.shape, generator=self.generator).to(self.device)

    def chance(self, count: int, probability: float) -> Tensor:
        """(count,) bool, each true with that probability."""
        return (torch.rand(count, generator=self.generator) < probability).to(self.device)

    def choice(self, count: int, options: int) -> Tensor:
        """(count,) integers from 0 to options - 1."""
        return torch.randint(options, (count,), generator=self.generator).to(self.device)

    def order(self, count: int) -> Tensor:
        """(count,) a permutation."""
        return torch.randperm(count, generator=self.generator).to(self.device)
