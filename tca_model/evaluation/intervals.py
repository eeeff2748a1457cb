"""How well copied intervals are found: IoU, and segment-level precision, recall and F as VCSL defines them.

VCSL: He et al., "A Large-scale Comprehensive Dataset and Copy-overlap Aware Evaluation Protocol for Segment-level
Video Copy Detection", CVPR 2022, arXiv 2203.02654; as in vcsl/metric.py of ant-research/VCSL.
A pair of videos has found and true intervals. Each is a rectangle in the plane of query time and reference time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tca_model.matching.evidence import Span, coverage_s
from tca_model.types import Match


def interval_iou(found: Match, true: Match) -> float:
    """Intersection over union on the query side times that on the reference side, in [0, 1]."""
    sides = zip(_spans(found), _spans(true), strict=True)
    iou = 1.0
    for one, other in sides:
        common = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
        iou *= common / ((one[1] - one[0]) + (other[1] - other[0]) - common)
    return iou


@dataclass(frozen=True, slots=True)
class PairFigures:
    """Segment-level precision and recall of one pair of videos; None if there is nothing to divide by."""

    precision: float | None  # None: nothing was found
    recall: float | None  # None: there is nothing to find

    @property
    def is_missed(self) -> bool:
        return self.precision is None and self.recall is not None

    @property
    def is_false_alarm(self) -> bool:
        return self.precision is not None and self.recall is None


def pair_figures(found: Sequence[Match], true: Sequence[Match]) -> PairFigures:
    """Segment-level precision and recall of one pair.

        precision = prod over both sides of  sum_f | union_t (f n t) | / sum_f |f|

    where f n t is the overlap of a found and a true interval that overlap on both sides, and the union is formed along
    the side. Recall is the same with found and true exchanged. So a true interval found in pieces loses nothing, and
    intervals at the right times with exchanged partners gain nothing.
    """
    return PairFigures(_share_covered(found, true), _share_covered(true, found))


@dataclass(frozen=True, slots=True)
class IntervalScores:
    """Segment-level figures over many pairs, each in [0, 1]."""

    precision: float
    recall: float
    false_rejection_rate: float  # share of pairs with something to find where nothing was found
    false_alarm_rate: float  # share of pairs with nothing to find where something was found

    @property
    def f(self) -> float:
        """The harmonic mean of precision and recall."""
        return _harmonic(self.precision, self.recall)


def micro_scores(pairs: Iterable[PairFigures]) -> IntervalScores:
    """VCSL's micro average: precision over the pairs with found intervals, recall over those with true ones.

    Precision is 1 if nothing is found at all, recall is 1 if there is nothing to find, as in VCSL.
    """
    scores = list(pairs)
    positive = [score for score in scores if score.recall is not None]
    negative = [score for score in scores if score.recall is None]
    return IntervalScores(
        precision=_mean(score.precision for score in scores if score.precision is not None),
        recall=_mean(score.recall for score in scores if score.recall is not None),
        false_rejection_rate=sum(score.is_missed for score in positive) / max(1, len(positive)),
        false_alarm_rate=sum(score.is_false_alarm for score in negative) / max(1, len(negative)),
    )


def macro_scores(query_sets: Mapping[str, Sequence[PairFigures]]) -> tuple[float, float, float]:
    """VCSL's macro average (precision, recall, F): the mean over query sets of the means over their pairs.

    A pair with nothing found has precision 1 here, one with nothing to find has recall 1. Not used by the benchmark,
    which has no query sets: for comparison with published figures. Raises ValueError for a query set without pairs.
    """
    if not query_sets or not all(query_sets.values()):
        raise ValueError("every query set needs at least one pair")
    precision = _mean(
        _mean(1.0 if score.precision is None else score.precision for score in scores) for scores in query_sets.values()
    )
    recall = _mean(
        _mean(1.0 if score.recall is None else score.recall for score in scores) for scores in query_sets.values()
    )
    return precision, recall, _harmonic(precision, recall)


def _share_covered(intervals: Sequence[Match], by: Sequence[Match]) -> float | None:
    """The share of `intervals` that `by` covers, as a product over both sides; None without intervals."""
    if not intervals:
        return None
    covered, whole = [0.0, 0.0], [0.0, 0.0]
    for interval in intervals:
        overlaps = [
            (query, reference)
            for other in by
            if (query := _overlap(_spans(interval)[0], _spans(other)[0]))
            and (reference := _overlap(_spans(interval)[1], _spans(other)[1]))
        ]
        for side, (start_s, end_s) in enumerate(_spans(interval)):
            covered[side] += coverage_s([overlap[side] for overlap in overlaps])
            whole[side] += end_s - start_s
    return covered[0] / whole[0] * (covered[1] / whole[1])


def _overlap(one: Span, other: Span) -> Span | None:
    start_s, end_s = max(one[0], other[0]), min(one[1], other[1])
    return (start_s, end_s) if end_s > start_s else None


def _spans(match: Match) -> tuple[Span, Span]:
    return (match.query_start_s, match.query_end_s), (match.reference_start_s, match.reference_end_s)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 1.0


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
