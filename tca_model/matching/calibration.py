"""Turns the joined score of a pair into the probability that it is a copy, and measures how well calibrated that is."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tca_model.config import Config

BINS = 10
FOLDS = 5
# Scores lie between 0 and 1 or slightly below 0. They are clipped to this range to keep the log odds finite.
LOWEST, HIGHEST = 1e-3, 1 - 1e-3
STEPS, ENOUGH = 100, 1e-9  # of Newton's method, which usually takes 10 steps

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Curve(Config):
    """Platt scaling: probability = sigmoid(slope * log odds of the joined score + intercept); rises with the score."""

    slope: Annotated[float, Field(gt=0)]
    intercept: float

    def probability(self, joined_score: float) -> float:
        """Probability that a pair with this joined score is a copy."""
        return float(sigmoid(self.slope * log_odds(joined_score) + self.intercept))

    def joined_score(self, probability: float) -> float:
        """Inverse of `probability`. 0 and 1 map to the ends of the clipped range."""
        odds = np.log(max(probability, 1e-300)) - np.log(max(1 - probability, 1e-300))
        return float(np.clip(sigmoid((odds - self.intercept) / self.slope), LOWEST, HIGHEST))


class Calibration(Config):
    """How a pair's score becomes a decision. With a curve, `alert_threshold` is a probability, else a joined score."""

    version: Annotated[int, Field(ge=1)] = 1
    alert_threshold: Annotated[float, Field(ge=-1, le=1)]
    curve: Curve | None = None
    basis: str  # how threshold and curve were found, with the command

    def alert_score(self, joined_score: float) -> float:
        """The score that an alert carries: the probability of a copy, or the joined score if there is no curve."""
        return self.curve.probability(joined_score) if self.curve else joined_score

    def joined_score(self, alert_score: float) -> float:
        """Inverse of `alert_score`. A negative threshold (report every pair) is returned unchanged."""
        return self.curve.joined_score(alert_score) if self.curve and alert_score >= 0 else alert_score


@dataclass(frozen=True, slots=True)
class Bin:
    """Pairs whose probabilities lie in one tenth: their mean probability, and the share of copies among them."""

    pairs: int
    probability: float
    copies: float


def fit(scores: Sequence[float] | Floats, is_copy: Sequence[bool] | Bools) -> Curve:
    """The maximum likelihood curve (Platt, 1999), with targets smoothed as if there were one more pair of each kind.

    Newton's method (Lin, Lin and Weng, Machine Learning 68, 2007). Raises ValueError if there are no copies or no other
    pairs, or if copies do not score higher than the others.
    """
    x, copied = log_odds(scores), np.asarray(is_copy, dtype=bool)
    copies, others = int(copied.sum()), int((~copied).sum())
    if not copies or not others:
        raise ValueError(f"a curve needs copies and others, got {copies} and {others}")
    target = np.where(copied, (copies + 1) / (copies + 2), 1 / (others + 2))
    columns = np.stack([x, np.ones_like(x)], axis=1)  # (N, 2)
    weights = np.array([0.0, np.log((copies + 1) / (others + 1))])
    loss = _loss(columns @ weights, target)
    for _ in range(STEPS):
        p = sigmoid(columns @ weights)
        gradient = columns.T @ (p - target)
        curvature = (columns * (p * (1 - p))[:, np.newaxis]).T @ columns + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while (less := _loss(columns @ (weights - step), target)) > loss and np.abs(step).max() > ENOUGH:
            step /= 2
        if np.abs(step).max() <= ENOUGH:
            break
        weights, loss = weights - step, less
    if weights[0] <= 0:
        raise ValueError("copies do not score higher than others")
    return Curve(slope=float(weights[0]), intercept=float(weights[1]))


def cross_fit(scores: Floats, is_copy: Bools, groups: Sequence[Hashable]) -> Floats:
    """The probability of each pair (N,), by a curve fitted without its group; the groups are split into FOLDS."""
    fold_of = {group: number % FOLDS for number, group in enumerate(sorted(set(groups), key=str))}
    fold = np.array([fold_of[group] for group in groups])
    probabilities = np.empty(len(scores))
    for number in range(FOLDS):
        unseen = fold == number
        if unseen.any():
            curve = fit(scores[~unseen], is_copy[~unseen])
            probabilities[unseen] = [curve.probability(score) for score in scores[unseen]]
    return probabilities


def reliability(probabilities: Floats, is_copy: Bools) -> list[Bin]:
    """The pairs in ten bins by probability; empty bins are left out."""
    tenth = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    return [
        Bin(int(within.sum()), float(probabilities[within].mean()), float(is_copy[within].mean()))
        for within in (tenth == number for number in range(BINS))
        if within.any()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error (Guo et al., ICML 2017, equation 3): sum over bins of n_b / N |copies_b - p_b|."""
    pairs = sum(one.pairs for one in bins)
    return sum(one.pairs * abs(one.copies - one.probability) for one in bins) / pairs


def threshold_for(precision: float, probabilities: Floats, is_copy: Bools) -> float:
    """The lowest threshold at which at least that share of the pairs are copies. Raises ValueError if there is none."""
    order = np.argsort(-probabilities, kind="stable")
    ranked, copied = probabilities[order], is_copy[order]
    share = np.cumsum(copied) / np.arange(1, len(copied) + 1)
    last_of_equals = np.append(np.diff(ranked) != 0, True)
    enough = np.flatnonzero((share >= precision) & last_of_equals)
    if not len(enough):
        raise ValueError(f"at no threshold are {precision:.0%} of the pairs copies")
    return float(ranked[enough[-1]])


def log_odds(score: float | Sequence[float] | Floats) -> Floats:
    """ln(s / (1 - s)) of scores, clipped so that it is finite."""
    clipped = np.clip(np.asarray(score, dtype=np.float64), LOWEST, HIGHEST)
    odds: Floats = np.log(clipped) - np.log1p(-clipped)
    return odds


def sigmoid(x: Floats) -> Floats:
    """The inverse of `log_odds`."""
    probability: Floats = 0.5 * (1 + np.tanh(x / 2))
    return probability


def _loss(x: Floats, target: Floats) -> float:
    return float((np.logaddexp(0, x) - target * x).sum())
