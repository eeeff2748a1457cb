"""Figures of a ranking by score: average precision, micro-AP, recall at a precision, recall before a false positive.

Equal scores have no order: whoever sorts them decides nothing here. A threshold takes all of a tied group or none, so
a curve has one point for each distinct score, at the end of its group. `positives` is the number of true pairs that
there are, when some of them have no score (not retrieved, not described): they lower recall, not precision.

Every function takes scores (N,), higher is more alike, and is_copy (N,) bool, in any order, and raises ValueError for
shapes that disagree, a score that is not a number, fewer `positives` than true pairs with a score, or no true pair.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def average_precision(scores: ArrayLike, is_copy: ArrayLike, positives: int | None = None) -> float:
    """Average precision in [0, 1] of one ranking.

        AP = sum_k (R_k - R_{k-1}) P_k        over the distinct scores k, descending

    Without ties it is the mean, over all true pairs, of the precision at their rank (0 where not ranked): the AP of
    FIVR-200K's `evaluation.py` and of VSC2022's `average_precision` (vsc/metrics.py), whose values depend on how a
    sort leaves ties.
    """
    _, retrieved, copies, total = _curve(scores, is_copy, positives)
    gained = np.diff(copies, prepend=0)
    return float((gained * copies / retrieved).sum() / total)


def trapezoid_average_precision(scores: ArrayLike, is_copy: ArrayLike, positives: int | None = None) -> float:
    """Average precision in [0, 1] with the precision taken as linear between the points of the curve.

        AP = sum_k (R_k - R_{k-1}) (P_{before k} + P_k) / 2

    where P_{before k} is the precision of what ranks above the group k, 1 above the first. The measure of EVVE (Revaud
    et al., CVPR 2013; `score_ap_from_ranks_1` of its evaluation, kept in MKLab-ITI/visil datasets/__init__.py).
    """
    _, retrieved, copies, total = _curve(scores, is_copy, positives)
    gained = np.diff(copies, prepend=0)
    precision = copies / retrieved
    before = np.concatenate([[1.0], precision[:-1]])
    return float((gained * (before + precision) / 2).sum() / total)


def micro_ap(scores: ArrayLike, is_copy: ArrayLike, positives: int | None = None) -> float:
    """Micro-AP in [0, 1]: the average precision of all pairs of all queries in one ranking (VSC2022's uAP).

    Unlike a mean over queries it asks that one threshold suits every query, and counts queries that copy nothing.
    """
    return average_precision(scores, is_copy, positives)


def recall_at_precision(
    scores: ArrayLike, is_copy: ArrayLike, precision: float, positives: int | None = None
) -> tuple[float, float]:
    """The highest recall at which precision is at least `precision`, and the score from which pairs are taken.

    (0.0, inf) when no threshold is that precise. The threshold is inclusive: a pair counts as found at that score.
    """
    if not 0 < precision <= 1:
        raise ValueError(f"a precision lies above 0 and is at most 1, got {precision}")
    thresholds, retrieved, copies, total = _curve(scores, is_copy, positives)
    # Multiplied out: 99 of 100 are exactly 0.99, which the quotient's rounding must not decide.
    precise = np.flatnonzero(copies >= precision * retrieved * (1 - 1e-12))
    if not len(precise) or not copies[precise[-1]]:
        return 0.0, math.inf
    last = precise[-1]  # recall never falls along the curve
    return float(copies[last] / total), float(thresholds[last])


def recall_before_false_positive(scores: ArrayLike, is_copy: ArrayLike, positives: int | None = None) -> float:
    """The share of true pairs that score strictly higher than every pair that is no copy."""
    _, retrieved, copies, total = _curve(scores, is_copy, positives)
    clean = copies[copies == retrieved]
    return float(clean[-1] / total) if len(clean) else 0.0


def _curve(
    scores: ArrayLike, is_copy: ArrayLike, positives: int | None
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], int]:
    """Per distinct score, descending: the score, how many pairs and how many copies reach it; and all positives."""
    values = np.asarray(scores, dtype=np.float64)
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
    order = np.argsort(-values, kind="stable")
    values = values[order]
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if len(values) else np.empty(0, dtype=np.int64)
    return values[ends], (ends + 1).astype(np.int64), np.cumsum(copies[order])[ends].astype(np.int64), total
