"""Pairs that were scored, and the figures of each kind: who alerts, and how exactly a shared stretch is found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.alike.pairs import AlikePair, Footage
from bench.alike.shared import SharedPair
from bench.alike.stored import compare_stored, cut_out, lay_in_a_row
from tca_model.evaluation.benchmark import Advance
from tca_model.evaluation.intervals import interval_iou
from tca_model.matching.calibration import Calibration
from tca_model.types import Match, VideoDescriptor


@dataclass(frozen=True, slots=True)
class Scored:
    """A pair with its joined score and alert score; None: one side shows nothing that can be compared."""

    kind: str
    query: str
    reference: str
    is_held_out: bool
    joined_score: float | None
    alert_score: float | None
    is_alert: bool
    intervals: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class KindFigures:
    """How many pairs of a kind alert, the held-out ones apart, and the highest scores; None without any score."""

    kind: str
    pairs: int
    alerts: int
    held_out_pairs: int
    held_out_alerts: int
    not_comparable: int
    highest_alert_score: float | None
    highest_joined_score: float | None


@dataclass(frozen=True, slots=True)
class SharedFigures:
    """A pair that shares one stretch: whether it alerts, and how the best interval meets the stretch.

    `iou`: of both sides. `error_s`: largest distance of a border from the truth. `others`: further intervals.
    """

    kind: str
    query: str
    reference: str
    is_held_out: bool
    is_footage: bool
    is_alert: bool
    alert_score: float | None
    iou: float
    error_s: float | None
    others: int

    @property
    def is_right(self) -> bool:
        """Found, and only there; or nothing found where there is no footage to find."""
        return self.is_alert and self.iou > 0 and not self.others if self.is_footage else not self.is_alert


def read_footage(
    footage: Footage, stored: Mapping[str, VideoDescriptor], durations_s: Mapping[str, float]
) -> VideoDescriptor:
    """The descriptor of one side of a pair. `durations_s` of the videos that stand in a row."""
    if len(footage.names) == 1:
        return cut_out(stored[footage.names[0]], footage.start_s, footage.end_s)
    return lay_in_a_row([stored[name] for name in footage.names], [durations_s[name] for name in footage.names])


def score_pairs(
    pairs: Sequence[AlikePair],
    stored: Mapping[str, VideoDescriptor],
    durations_s: Mapping[str, float],
    calibration: Calibration,
    advance: Advance,
) -> list[Scored]:
    """Each pair, scored by the rules of tca_model.matching."""
    scored = []
    for done, pair in enumerate(pairs, start=1):
        query, reference = (read_footage(side, stored, durations_s) for side in (pair.query, pair.reference))
        scored.append(score_pair(pair, query, reference, calibration))
        advance(done, len(pairs))
    return scored


def score_pair(pair: AlikePair, query: VideoDescriptor, reference: VideoDescriptor, calibration: Calibration) -> Scored:
    names = (pair.kind, pair.query.label, pair.reference.label, pair.is_held_out)
    if not (len(query) and len(reference)):
        return Scored(*names, None, None, is_alert=False)
    joined = compare_stored(query, reference)
    alert_score = calibration.alert_score(joined.joined_score)
    return Scored(
        *names, joined.joined_score, alert_score, alert_score >= calibration.alert_threshold, joined.intervals
    )


def judge_kinds(scored: Sequence[Scored]) -> list[KindFigures]:
    """The figures of each kind, in the order in which kinds appear."""
    by_kind: dict[str, list[Scored]] = {}
    for one in scored:
        by_kind.setdefault(one.kind, []).append(one)
    return [_judge_kind(kind, own) for kind, own in by_kind.items()]


def _judge_kind(kind: str, own: Sequence[Scored]) -> KindFigures:
    held_out = [one for one in own if one.is_held_out]
    comparable = [one for one in own if one.joined_score is not None]
    return KindFigures(
        kind=kind,
        pairs=len(own),
        alerts=sum(one.is_alert for one in own),
        held_out_pairs=len(held_out),
        held_out_alerts=sum(one.is_alert for one in held_out),
        not_comparable=len(own) - len(comparable),
        highest_alert_score=max((one.alert_score for one in comparable if one.alert_score is not None), default=None),
        highest_joined_score=max(
            (one.joined_score for one in comparable if one.joined_score is not None), default=None
        ),
    )


def judge_shared(pairs: Sequence[SharedPair], scored: Sequence[Scored]) -> list[SharedFigures]:
    """The figures of each pair that shares a stretch; `scored` are the same pairs in the same order."""
    figures = []
    for pair, one in zip(pairs, scored, strict=True):
        found = one.intervals if one.is_alert else ()
        best = max(found, key=lambda match: interval_iou(match, pair.truth), default=None)
        figures.append(
            SharedFigures(
                kind=pair.kind,
                query=one.query,
                reference=one.reference,
                is_held_out=pair.is_held_out,
                is_footage=pair.is_footage,
                is_alert=one.is_alert,
                alert_score=one.alert_score,
                iou=interval_iou(best, pair.truth) if best else 0.0,
                error_s=_border_error_s(best, pair.truth) if best else None,
                others=max(0, len(found) - 1),
            )
        )
    return figures


def _border_error_s(found: Match, truth: Match) -> float:
    return max(
        abs(found.query_start_s - truth.query_start_s),
        abs(found.query_end_s - truth.query_end_s),
        abs(found.reference_start_s - truth.reference_start_s),
        abs(found.reference_end_s - truth.reference_end_s),
    )
