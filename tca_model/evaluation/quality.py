"""Quality figures from a table of scored pairs: ranking, decisions, copied intervals, and results per edit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tca_model.evaluation.intervals import IntervalScores, PairFigures, interval_iou, micro_scores, pair_figures
from tca_model.evaluation.ranking import micro_ap, recall_at_precision, recall_before_false_positive
from tca_model.types import Match

PRECISION = 0.99


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """A pair of the benchmark; `edit` is empty if the query is a distractor."""

    is_copy: bool
    score: float | None  # of whatever method is judged; None: one of the two could not be compared
    edit: str = ""
    found: Sequence[Match] | None = None  # copied intervals; None: the method finds no intervals
    true: Sequence[Match] = ()

    @property
    def iou(self) -> float:
        """Mean over the true intervals of the IoU (product of both sides) with the best found interval."""
        best = [max((interval_iou(one, interval) for one in self.found or ()), default=0.0) for interval in self.true]
        return sum(best) / len(best) if best else 0.0

    def figures_at(self, threshold: float) -> PairFigures:
        """Precision and recall of the intervals that are reported with that alert threshold."""
        is_alert = self.score is not None and self.score >= threshold
        return pair_figures(self.found or () if is_alert else (), self.true)


@dataclass(frozen=True, slots=True)
class EditQuality:
    """Figures of the copies made by one edit."""

    copies: int
    recall: float  # at the score that gives PRECISION over all pairs
    iou: float | None


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of the benchmark; shares are in [0, 1]. A true pair without a score counts as not found."""

    pairs: int
    copies: int
    missing: int  # pairs without a score, including `missing_copies` true ones
    missing_copies: int
    micro_ap: float
    recall: float  # at PRECISION
    score: float | None  # lowest score of a pair found at that precision; None: no score reaches it
    recall_before_false_positive: float
    highest_other: float  # highest score of a pair that is not a copy
    iou: float | None  # mean over true pairs
    threshold: float | None  # for alerts; the figures below are at this threshold
    recall_at_threshold: float | None
    false_alerts: int | None
    intervals: IntervalScores | None  # of the alerts
    edits: dict[str, EditQuality]


def judge(pairs: Sequence[ScoredPair], threshold: float | None = None) -> Quality:
    """The figures of these pairs. Raises ValueError if none of them is a copy, or all are."""
    scored = [(pair.score, pair.is_copy) for pair in pairs if pair.score is not None]
    scores = np.array([score for score, _ in scored])
    is_copy = np.array([copied for _, copied in scored], dtype=bool)
    copies = [pair for pair in pairs if pair.is_copy]
    if is_copy.all():
        raise ValueError("every pair with a score is a copy: there are no others to compare with")
    recall, cut = recall_at_precision(scores, is_copy, PRECISION, len(copies))
    by_edit: dict[str, list[ScoredPair]] = {}
    for pair in copies:
        by_edit.setdefault(pair.edit, []).append(pair)
    return Quality(
        pairs=len(pairs),
        copies=len(copies),
        missing=len(pairs) - len(scored),
        missing_copies=len(copies) - int(is_copy.sum()),
        micro_ap=micro_ap(scores, is_copy, len(copies)),
        recall=recall,
        score=cut if np.isfinite(cut) else None,
        recall_before_false_positive=recall_before_false_positive(scores, is_copy, len(copies)),
        highest_other=float(scores[~is_copy].max()),
        iou=_mean_iou(copies),
        threshold=threshold,
        recall_at_threshold=None if threshold is None else _share(copies, _reaches(threshold)),
        false_alerts=None if threshold is None else int((scores[~is_copy] >= threshold).sum()),
        intervals=None if threshold is None else micro_scores(pair.figures_at(threshold) for pair in pairs),
        edits={
            edit: EditQuality(len(own), _share(own, _reaches(cut)), _mean_iou(own)) for edit, own in by_edit.items()
        },
    )


def _mean_iou(copies: Sequence[ScoredPair]) -> float | None:
    located = any(pair.found is not None for pair in copies)
    return sum(pair.iou for pair in copies) / len(copies) if located else None


def _reaches(score: float) -> Callable[[ScoredPair], bool]:
    return lambda pair: pair.score is not None and pair.score >= score


def _share(copies: Sequence[ScoredPair], is_found: Callable[[ScoredPair], bool]) -> float:
    return sum(map(is_found, copies)) / len(copies)
