"""Figures of a ranking by score: average precision, micro-AP, recall at a precision, recall before a false positive.

Equal scores have no order, so no result depends on how they are sorted. A threshold includes all pairs of a tied group
or none, so a curve has one point per distinct score of a true pair, at the end of its tied group. `positives` is the
number of all true pairs if some have no score (not retrieved, not described): they lower recall, not precision.

Every function takes scores (N,), higher is more similar, and is_copy (N,) bool, in any order. It raises ValueError for
different shapes, a score that is not a number, fewer `positives` than true pairs with a score, or no true pair.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


def average_precision(scores: ArrayLike, is_copy: ArrayLike, positives: int | None = None) -> float:
    """Average precision in [0, 1] of one ranking.

        AP = sum_k (R_k - R_{k-1}) P_k        over the distinct scores k, descending

    Without ties it is the mean, over all true pairs, of the precision at their rank (0 where not ranked): the AP of
    FIVR-200K's `evaluation.py` and of VSC2022's `average_precision` (vsc/metrics.py), whose values depend on how ties
    are sorted.
    """
    curve = _curve(scores, is_copy, positives)
    return float((curve.gained * curve.precision).sum() / curve.positives)


def trapezoid_average_precision(scores: ArrayLike, is_copy: ArrayLike, positives: int | None = None) -> float:
    """Average precision in [0, 1] with trapezoids instead of steps.

        AP = sum_k (R_k - R_{k-1}) (P_{above k} + P_k) / 2

    where P_{above k} is the precision of all pairs that score higher than k, 1 if there is none. The measure of EVVE
    (Revaud et al., CVPR 2013; `score_ap_from_ranks_1` of its eval_evve.py).
    """
    curve = _curve(scores, is_copy, positives)
    found_above = curve.found - curve.gained
    above = found_above + curve.wrong_above
    precision_above = np.where(above > 0, found_above / np.maximum(above, 1), 1.0)
    return float((curve.gained * (precision_above + curve.precision) / 2).sum() / curve.positives)


def micro_ap(scores: ArrayLike, is_copy: ArrayLike, positives: int | None = None) -> float:
    """Micro-AP in [0, 1]: the average precision of all pairs of all queries in one ranking (VSC2022's uAP).

    Unlike a mean over queries it requires one threshold to suit every query, and counts queries that copy nothing.
    """
    return average_precision(scores, is_copy, positives)


def recall_at_precision(
    scores: ArrayLike, is_copy: ArrayLike, precision: float, positives: int | None = None
) -> tuple[float, float]:
    """The highest recall at which precision is at least `precision`, and the threshold that gives it.

    The threshold is the lowest score of an accepted true pair; pairs that reach it are accepted. (0.0, inf) if no
    threshold is that precise.
    """
    if not 0 < precision <= 1:
        raise ValueError(f"a precision must be above 0 and at most 1, got {precision}")
    curve = _curve(scores, is_copy, positives)
    # Multiplied out, with a margin for rounding, so that 99 of 100 count as 0.99.
    precise = np.flatnonzero(curve.found >= precision * (curve.found + curve.wrong) * (1 - 1e-12))
    if not len(precise):
        return 0.0, math.inf
    last = precise[-1]  # recall only grows along the curve
    return float(curve.found[last] / curve.positives), float(curve.scores[last])


def recall_before_false_positive(scores: ArrayLike, is_copy: ArrayLike, positives: int | None = None) -> float:
    """The share of true pairs that score strictly higher than every pair that is not a copy."""
    curve = _curve(scores, is_copy, positives)
    return float(curve.gained[curve.wrong == 0].sum() / curve.positives)


class _Curve(NamedTuple):
    """One point for each distinct score of a true pair, descending."""

    scores: NDArray[np.floating[Any]]
    gained: NDArray[np.int64]  # true pairs with this score
    found: NDArray[np.int64]  # true pairs that reach it
    wrong: NDArray[np.int64]  # other pairs that reach it
    wrong_above: NDArray[np.int64]  # other pairs above it
    positives: int

    @property
    def precision(self) -> NDArray[np.float64]:
        precision: NDArray[np.float64] = self.found / (self.found + self.wrong)
        return precision


def _curve(scores: ArrayLike, is_copy: ArrayLike, positives: int | None) -> _Curve:
    """The curve of a ranking; copies the scores only once: hundreds of millions of pairs take a few gigabytes."""
    values = np.asarray(scores)
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float64)
    copies = np.asarray(is_copy, dtype=bool)
    if values.ndim != 1 or values.shape != copies.shape:
        raise ValueError(f"expected scores (N,) with is_copy (N,), got {values.shape} with {copies.shape}")
    if np.isnan(values).any():
        raise ValueError(f"{int(np.isnan(values).sum())} scores are not a number")
    ranked = int(copies.sum())
    total = ranked if positives is None else positives
    if total < ranked:
        raise ValueError(f"{ranked} pairs with a score are copies, but only {total} positives were stated")
    if total == 0:
        raise ValueError("there is no true pair: recall has no meaning")
    levels, counts = np.unique(values[copies], return_counts=True)
    levels, gained = levels[::-1], counts[::-1].astype(np.int64)
    others = values[~copies]
    others.sort()
    wrong = len(others) - np.searchsorted(others, levels, side="left")
    wrong_above = len(others) - np.searchsorted(others, levels, side="right")
    return _Curve(levels, gained, np.cumsum(gained), wrong, wrong_above, total)
