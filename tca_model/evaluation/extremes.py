"""How often unrelated pairs reach a score that hardly any of a sample reaches: peaks over a threshold.

S. Coles, An Introduction to Statistical Modeling of Extreme Values (Springer, 2001), chapter 4: above a threshold
that is high enough, the excess y of a score follows a generalised Pareto distribution,

    P(excess > y) = (1 + shape y / scale)^(-1 / shape),  or exp(-y / scale) if the shape is 0.

Pairs of one video depend on each other, so that intervals come from a bootstrap over videos and not over pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_SHAPE, LARGEST_SHAPE = -0.5, 1.0  # below, the likelihood is not regular; above, the mean is infinite
GRID, FEWEST = 400, 10  # points of each of two grids; excesses that a fit needs

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Tail:
    """The distribution of scores above `threshold`, which a `share` in [0, 1] of all pairs reaches."""

    threshold: float
    share: float
    scale: float
    shape: float = 0.0

    def probability(self, score: float) -> float:
        """The share of pairs above this score. Raises ValueError for a score below the threshold."""
        if score < self.threshold:
            raise ValueError(f"the tail begins at {self.threshold}, it says nothing about {score}")
        excess = (score - self.threshold) / self.scale
        if self.shape == 0:
            return self.share * float(np.exp(-excess))
        return self.share * float(max(0.0, 1 + self.shape * excess) ** (-1 / self.shape))

    def score(self, probability: float) -> float:
        """Inverse of `probability`. Raises ValueError for one that is not above 0, or above the share."""
        if not 0 < probability <= self.share:
            raise ValueError(f"expected a probability in (0, {self.share}], got {probability}")
        times = self.share / probability
        excess = np.log(times) if self.shape == 0 else (times**self.shape - 1) / self.shape
        return self.threshold + self.scale * float(excess)


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """The pairs of videos whose scores (P,) lie above `threshold`, by the numbers (P,) of their two videos.

    `families` (V,) is the number of each video's family; all pairs of two families were scored, and no others.
    """

    threshold: float
    scores: Floats
    first: Indices
    second: Indices
    families: Indices

    def __post_init__(self) -> None:
        if not len(self.scores) == len(self.first) == len(self.second):
            raise ValueError(f"{len(self.scores)} scores of {len(self.first)} and {len(self.second)} videos")
        if np.any(self.scores <= self.threshold):
            raise ValueError(f"peaks lie above {self.threshold}")

    def fit(self, *, with_shape: bool, counts: Indices | None = None) -> Tail:
        """The tail of these pairs; `counts` (V,): how often each video was drawn, once by default.

        Raises ValueError for fewer than FEWEST pairs.
        """
        drawn = np.ones(len(self.families)) if counts is None else counts.astype(np.float64)
        weights = drawn[self.first] * drawn[self.second]
        by_family = np.bincount(self.families, drawn)
        total = (drawn.sum() ** 2 - (by_family**2).sum()) / 2
        return fit_tail(self.scores, weights, self.threshold, total, with_shape=with_shape)

    def resample(self, rounds: int, seed: int, *, with_shape: bool) -> list[Tail]:
        """Tails of samples of as many videos, drawn with replacement; those with too few peaks are left out."""
        rng, videos, tails = np.random.default_rng(seed), len(self.families), []
        for _ in range(rounds):
            counts = np.bincount(rng.integers(0, videos, videos), minlength=videos)
            try:
                tails.append(self.fit(with_shape=with_shape, counts=counts))
            except ValueError:
                continue
        return tails


def fit_tail(scores: Floats, weights: Floats, threshold: float, total: float, *, with_shape: bool) -> Tail:
    """The most likely tail of weighted scores (P,) above `threshold`, of pairs that weigh `total` together.

    Without the shape, the scale is the mean excess. With it, the likelihood is maximised over shape / scale alone, as
    the best shape for each ratio is known (Grimshaw, Technometrics 35, 1993). Raises ValueError for fewer than FEWEST
    scores that weigh anything.
    """
    counted = weights > 0
    if counted.sum() < FEWEST:
        raise ValueError(f"a tail needs {FEWEST} scores above {threshold}, got {counted.sum()}")
    excess, share = scores[counted] - threshold, float(weights.sum() / total)
    weights = weights[counted] / weights.sum()
    mean = float(weights @ excess)
    best = (-np.log(mean), mean, 0.0)  # likelihood, scale and shape of the exponential distribution
    if with_shape:
        low, high = -1 / excess.max() * (1 - 1e-6), 20 / mean
        for _ in range(2):
            ratios = np.linspace(low, high, GRID)
            ratios = ratios[ratios != 0]
            shapes = np.log1p(ratios[:, np.newaxis] * excess) @ weights
            scales = shapes / ratios
            likelihoods = np.where(
                (shapes >= LEAST_SHAPE) & (shapes <= LARGEST_SHAPE), -np.log(scales) - shapes, -np.inf
            )
            at = int(likelihoods.argmax())
            best = max(best, (float(likelihoods[at]), float(scales[at]), float(shapes[at])))
            low, high = ratios[max(0, at - 1)], ratios[min(len(ratios) - 1, at + 1)]
    return Tail(threshold, share, best[1], best[2])
