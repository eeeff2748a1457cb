"""Matcher and alerter over an index in memory, a bus that can fail and a clock that tests set; and assets for them."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import numpy as np

from services.alerter.pair import BOUNDS, Bounds
from services.alerter.pipeline import AlertPipeline
from services.alerter.state import AssetState
from services.alerter.state_store import StateStore
from services.alerter.worker import AlertWorker
from services.backends.memory.cache import MemoryCache
from services.backends.memory.index import MemoryIndex
from services.contracts import topics
from services.contracts.envelope import to_event, to_message
from services.contracts.events import AssetEnded, AssetRemovedAck, AssetVerdict, DuplicateAlert, Event, SegmentEncoded
from services.contracts.ports import Message, Record
from services.contracts.segments import DescribedSegment
from services.ingest.announce import build_segment_encoded
from services.matcher.assemble import build_match_pipeline
from services.matcher.candidates import NearestCandidates
from services.matcher.worker import MatchWorker
from services.runtime.group_lag import ALERTER_GROUP, name_matcher_group
from services.runtime.rule import AlertRule
from tca_model.matching.calibration import Calibration
from tca_model.types import FloatArray
from tests.alerter.flaky import Clock, FlakyBus, FlakyConsumer
from tests.descriptors import UPLOADED_AT, RowFields, cut, work
from tests.vectors import unit

MODEL = "v1"
THRESHOLD = 0.45
CALIBRATION = Calibration(alert_threshold=THRESHOLD, basis="by hand")
RULE = AlertRule(evidence_share=2 / 3)
IDLE_S = 3600.0
RETENTION_S = 7 * 24 * 3600.0
ALERT_RETENTION_S = 30 * 24 * 3600.0


class Stages:
    """A matcher and an alerter under test, with their bus, index and clock."""

    def __init__(
        self,
        *,
        rule: AlertRule = RULE,
        calibration: Calibration = CALIBRATION,
        bounds: Bounds = BOUNDS,
        partitions: int = 1,
        **options: Any,
    ) -> None:
        self._rule = rule
        self._bounds = bounds
        self._calibration = calibration
        self.index = MemoryIndex(model_version=MODEL)
        self.bus = FlakyBus(partitions)
        self.clock = Clock()
        self._options = options
        self.processed_until = math.inf  # as far as ingest and matcher are, seconds since the epoch
        self.restart()

    def restart(self, *, model_version: str | None = None) -> None:
        """Start again as after kill -9: only bus and index keep their content."""
        if model_version:
            self.index = MemoryIndex(model_version=model_version)
        self.states = StateStore()
        self.cache = MemoryCache(10**8)
        self.match_pipeline = build_match_pipeline(
            self.index,
            self.cache,
            NearestCandidates(self.index),
            rule=self._rule,
            calibration=self._calibration,
            **self._options,
        )
        self.matcher = MatchWorker(self.bus, self.match_pipeline, group=name_matcher_group(self.index.model_version))
        self.pipeline = AlertPipeline(states=self.states, rule=self._rule, bounds=self._bounds, clock=self.clock)
        self.alerter = AlertWorker(
            self.bus,
            self.pipeline,
            self.states,
            asset_idle_s=IDLE_S,
            state_retention_s=RETENTION_S,
            alert_retention_s=ALERT_RETENTION_S,
            processed_until=lambda: self.processed_until,
            clock=self.clock,
        )
        self.consumer: FlakyConsumer = self.alerter._consumer  # type: ignore[assignment]

    def store(self, *assets: Sequence[DescribedSegment]) -> None:
        for segments in assets:
            self.index.store(segments)

    def publish(self, *events: Event) -> None:
        self.bus.publish([to_message(topics.ENCODED_SEGMENTS, event, source="copydetect/test") for event in events])

    def process(self, *events: Event) -> None:
        """Publish these events together, and process them."""
        self.publish(*events)
        self.run()

    def search(self, *events: Event) -> list[Message]:
        """What a matcher has to say about these events now, and has not published yet."""
        messages = [to_message(topics.ENCODED_SEGMENTS, event, source="copydetect/test") for event in events]
        works, _ = self.match_pipeline.sort([Record(message, 0, offset) for offset, message in enumerate(messages)])
        return [message for work in works for message in self.match_pipeline(work)]

    def evidence(self, *events: Event) -> None:
        """Give these events to the alerter alone."""
        self.deliver([to_message(topics.MATCH_EVIDENCE, event, source="copydetect/test") for event in events])

    def deliver(self, messages: Sequence[Message]) -> None:
        """Publish these messages, and process them."""
        self.bus.publish(messages)
        self.run()

    def lag(self) -> int:
        """Records that the stages have not committed."""
        matched = self.bus.lag(topics.ENCODED_SEGMENTS, name_matcher_group(self.index.model_version))
        return matched + self.bus.lag(topics.MATCH_EVIDENCE, ALERTER_GROUP)

    def run(self) -> None:
        """Run until nothing is left to do."""
        while self.matcher.run_once(0) | self.alerter.run_once(0) or self.lag():
            pass

    def wait(self, seconds: float, *, step_s: float = 60.0) -> None:
        """Run for `seconds` in which nothing is published."""
        until = self.clock.at + seconds
        while self.clock.at < until:
            self.clock.at += step_s
            self.run()

    def state(self, key: str = "default/copy") -> AssetState:
        [state] = [state for one in self.states.partitions if (state := self.states.get(one, key))]
        return state

    def alerts(self) -> list[DuplicateAlert]:
        events = [to_event(record.message) for record in self.bus.records(topics.DUPLICATE_ALERTS)]
        assert all(isinstance(event, DuplicateAlert) for event in events)
        return events  # type: ignore[return-value]

    def latest(self) -> dict[str, DuplicateAlert]:
        """The highest revision by alert id; asserts that each revision is published once, and that they rise."""
        latest: dict[str, DuplicateAlert] = {}
        for alert in self.alerts():
            assert alert.alert_id not in latest or alert.revision > latest[alert.alert_id].revision
            latest[alert.alert_id] = alert
        return latest

    def live(self) -> list[DuplicateAlert]:
        """The alerts that hold, by query and reference."""
        live = [alert for alert in self.latest().values() if alert.is_live]
        return sorted(live, key=lambda alert: (alert.query.asset_id, alert.reference.asset_id))

    def all_verdicts(self) -> list[AssetVerdict]:
        return [event for event in self.answers() if isinstance(event, AssetVerdict)]

    def verdicts(self) -> dict[str, AssetVerdict]:
        """The highest revision by asset; asserts that each revision is published once, and that they rise."""
        latest: dict[str, AssetVerdict] = {}
        for verdict in self.all_verdicts():
            assert verdict.key not in latest or verdict.revision > latest[verdict.key].revision
            latest[verdict.key] = verdict
        return latest

    def acknowledgements(self) -> list[AssetRemovedAck]:
        return [event for event in self.answers() if isinstance(event, AssetRemovedAck)]

    def dead_letters(self, topic: str = topics.ENCODED_SEGMENTS) -> list[Message]:
        return [record.message for record in self.bus.records(topic + topics.DEAD_LETTER_SUFFIX)]

    def answers(self) -> list[Event]:
        """All verdicts and acknowledgements, in order."""
        return [to_event(record.message) for record in self.bus.records(topics.ASSET_VERDICTS)]


def segment_events(segments: Iterable[DescribedSegment], *, model_version: str = MODEL) -> list[SegmentEncoded]:
    return [
        build_segment_encoded(one.row, model_version=model_version, index_timestamp=None).model_copy(
            update={
                "generation": one.row.generation,
                "content": one.row.content,
                "is_whole_file": one.row.is_whole_file,
            }
        )
        for one in segments
    ]


def end_event(segments: Sequence[DescribedSegment], count: int | None = None, **changes: Any) -> AssetEnded:
    last = segments[-1].row
    return AssetEnded(
        tenant=last.tenant,
        asset_id=last.asset_id,
        segment_count=count or len(segments),
        duration_s=last.end_s,
        status="complete",
        generation=last.generation,
        model_version=MODEL,
    ).model_copy(update=changes)


def upload(segments: Sequence[DescribedSegment]) -> list[SegmentEncoded | AssetEnded]:
    """All events that ingest announces for this asset."""
    return [*segment_events(segments), end_event(segments)]


def frames(*parts: FloatArray) -> FloatArray:
    return np.concatenate(parts)


def similar_frames(number: int, start_s: int, end_s: int, similarity: float) -> FloatArray:
    """Frames that have this similarity to a stretch of the work."""
    other = work(1000 + number, start_s, end_s)
    return unit(similarity * work(number, start_s, end_s) + np.sqrt(1 - similarity**2) * other)


def original() -> list[DescribedSegment]:
    return cut("original", work(1, 0, 100))


def copy(asset_id: str = "copy", **fields: Unpack[RowFields]) -> list[DescribedSegment]:
    """Seconds 20 to 50 of the original, starting at 22 s and crossing a segment border; other frames around."""
    late: RowFields = {"uploaded_at": UPLOADED_AT + 60, **fields}
    return cut(asset_id, frames(work(2, 0, 22), work(1, 20, 50), work(2, 22, 60)), **late)


def bounds(alert: DuplicateAlert) -> list[tuple[float, ...]]:
    return [(one.query_start_s, one.query_end_s, one.reference_start_s, one.reference_end_s) for one in alert.intervals]


def exact_fields(alert: DuplicateAlert) -> dict[str, Any]:
    """What must be equal for any order of events."""
    fields = {"alert_id", "pair_id", "status", "query", "reference"}
    return {**alert.model_dump(include=fields), "intervals": bounds(alert)}


def approximate_figures(alert: DuplicateAlert) -> list[float]:
    """What differs slightly between descriptors of the index and the rounded ones of the cache."""
    similarity = alert.similarity.model_dump().values()
    return [alert.score, alert.query_coverage, alert.reference_coverage, *similarity]
