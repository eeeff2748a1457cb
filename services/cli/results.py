"""What a scan found: pairs with their paths, and files that were not compared."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.cli.files import VideoFile
from services.contracts.events import AssetVerdict, CopiedInterval, DuplicateAlert
from services.contracts.ports import DescriptorIndex
from tca_model.errors import NOTHING_SHOWN
from tca_model.matching.calibration import Calibration
from tca_model.types import Match

PROBABILITY, JOINED_SCORE = "probability", "joined score"


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two files that share content, with their paths as the user wrote them; the scores are those of the alert."""

    query: str
    reference: str
    score: float
    intervals: tuple[CopiedInterval, ...]
    joined_score: float | None = None

    def to_json(self) -> str:
        return json.dumps(
            {
                "query": self.query,
                "reference": self.reference,
                "score": self.score,
                "joined_score": self.joined_score,
                "intervals": [interval.model_dump() for interval in self.intervals],
            }
        )


@dataclass(frozen=True, slots=True)
class FoundPair:
    """An alert, and the paths of its two sides as the user wrote them."""

    query: str
    reference: str
    alert: DuplicateAlert

    @property
    def row(self) -> PairRow:
        alert = self.alert
        return PairRow(self.query, self.reference, alert.score, alert.intervals, alert.joined_score)


@dataclass(frozen=True, slots=True)
class Problem:
    """A path that was not compared: `failed` if something is wrong with it, else there is nothing to compare in it."""

    path: str
    reason: str
    failed: bool = True


class Results:
    """Collects the alerts and verdicts of a scan of these files."""

    def __init__(self, queries: Sequence[VideoFile], references: Sequence[VideoFile] | None) -> None:
        """`references` None: everything was compared with everything."""
        self._paths = {file.asset_id: file.path for file in [*queries, *(references or ())]}
        self._queries = {file.asset_id for file in queries}
        self._references = None if references is None else {file.asset_id for file in references}
        self._alerts: dict[str, DuplicateAlert] = {}  # by alert_id
        self._problems: dict[str, Problem] = {}  # by asset

    def add(self, event: DuplicateAlert | AssetVerdict) -> None:
        if isinstance(event, DuplicateAlert):
            self._alerts[event.alert_id] = event  # the highest revision comes last
        elif event.verdict in ("failed", "undecidable"):
            reason = event.reason or NOTHING_SHOWN
            problem = Problem(self._paths[event.asset_id], reason, failed=event.verdict == "failed")
            self._problems[event.asset_id] = problem
        else:
            self._problems.pop(event.asset_id, None)

    @property
    def problems(self) -> list[Problem]:
        """The files whose last verdict names a problem."""
        return list(self._problems.values())

    @property
    def alerts(self) -> list[DuplicateAlert]:
        """The last revision of every alert."""
        return list(self._alerts.values())

    def pairs(self, index: DescriptorIndex, tenant: str) -> list[FoundPair]:
        """One per unordered pair, best first; of two alerts on a pair, the one with the higher score."""
        best: dict[str, DuplicateAlert] = {}
        for alert in self._alerts.values():
            before = best.get(alert.pair_id)
            if self._is_wanted(alert) and (before is None or alert.score > before.score):
                best[alert.pair_id] = alert
        alerts = sorted(best.values(), key=lambda alert: -alert.score)
        sides = {side.asset_id for alert in alerts for side in (alert.query, alert.reference)}
        earlier = sides - self._paths.keys()  # described by an earlier run on the same --db
        stored = {row.asset_id: row.uri for row in index.read_rows(tenant, earlier)} if earlier else {}
        there = {asset_id: uri for asset_id, uri in stored.items() if Path(uri).exists()}
        paths = there | self._paths
        return [
            FoundPair(paths[alert.query.asset_id], paths[alert.reference.asset_id], alert)
            for alert in alerts
            if {alert.query.asset_id, alert.reference.asset_id} <= paths.keys()
        ]

    def _is_wanted(self, alert: DuplicateAlert) -> bool:
        if not alert.is_live:
            return False
        if self._references is None:
            return not self._queries.isdisjoint((alert.query.asset_id, alert.reference.asset_id))
        return alert.query.asset_id in self._queries and alert.reference.asset_id in self._references


def score_name(calibration: Calibration) -> str:
    """What the score of an alert is: a probability if the bundle is calibrated."""
    return PROBABILITY if calibration.curve else JOINED_SCORE


def intervals_text(intervals: Sequence[CopiedInterval | Match]) -> str:
    """Intervals as text, one per line: where in the query = where in the reference."""
    return "\n".join(
        f"{clock(i.query_start_s)}-{clock(i.query_end_s)} = {clock(i.reference_start_s)}-{clock(i.reference_end_s)}"
        for i in intervals
    )


def readable(path: str) -> str:
    """The path as text for any terminal or page: bytes that are not UTF-8 become \\xff."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def format_count(number: int, noun: str) -> str:
    """The number with its noun, in the singular or plural."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def clock(seconds: float) -> str:
    """Minutes and whole seconds, and hours if there are any. Frames are a second apart, so no fractions."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
