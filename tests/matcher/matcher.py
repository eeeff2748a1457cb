"""The matcher over an index in memory, a bus that can fail and a clock that tests set; and assets for it."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Unpack

import numpy as np

from services.backends.memory.bus import MemoryBus, MemoryStateConsumer
from services.backends.memory.cache import MemoryCache
from services.backends.memory.index import MemoryIndex
from services.contracts import topics
from services.contracts.envelope import to_event, to_message
from services.contracts.errors import TransientError
from services.contracts.events import AssetEnded, AssetVerdict, DuplicateAlert, Event, SegmentEncoded
from services.contracts.ports import Message, Rebalance, Record, States
from services.contracts.segments import DescribedSegment
from services.ingest.announce import build_asset_ended, build_segment_encoded
from services.matcher.candidates import NearestCandidates
from services.matcher.pipeline import MatchPipeline
from services.matcher.rule import AlertRule
from services.matcher.state import AssetState
from services.matcher.state_store import StateStore
from services.matcher.worker import GROUP, MatchWorker
from tca_model.matching.calibration import Calibration
from tca_model.types import FloatArray
from tests.descriptors import UPLOADED_AT, RowFields, cut, work
from tests.vectors import unit

MODEL = "v1"
THRESHOLD = 0.45
RULE = AlertRule(Calibration(alert_threshold=THRESHOLD, basis="by hand"), THRESHOLD, evidence_share=2 / 3)
IDLE_S = 3600.0
RETENTION_S = 7 * 24 * 3600.0

Failure = Literal["before", "after"]  # the failed commit had no effect, or its full effect


class Clock:
    """Seconds since the epoch; each call advances it by a millisecond."""

    def __init__(self) -> None:
        self.at = UPLOADED_AT + 1000

    def __call__(self) -> float:
        self.at += 0.001
        return self.at


class FlakyBus(MemoryBus):
    """A bus whose next commit can fail, and that delivers records only after their partition was restored."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: Failure | None = None
        self.error: Exception = TransientError("the bus is down")
        self.commits: list[tuple[Sequence[Record], Sequence[Message], States]] = []

    def open_state_consumer(self, topic: str, group: str, state_topic: str) -> "FlakyConsumer":
        return FlakyConsumer(self, topic, group, self._states[state_topic])

    def fail_next(self, fails: Failure) -> None:
        self.fails = fails

    def lag(self) -> int:
        """Records that the matcher has not committed."""
        return len(self._topics[topics.ENCODED_SEGMENTS]) - self._committed[topics.ENCODED_SEGMENTS, GROUP]

    def states(self) -> dict[str, bytes]:
        return dict(self._states[topics.MATCHER_STATE])


class FlakyConsumer(MemoryStateConsumer):
    def __init__(self, bus: FlakyBus, topic: str, group: str, states: dict[str, bytes]) -> None:
        super().__init__(bus, topic, group, states)
        self._flaky = bus
        self._is_restored = False
        self.hidden_lag = 0  # lag that an outage hides, or of a replay

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        return super().poll(max_records, timeout_s) if self._is_restored else []

    def restore(self, partition: int) -> dict[str, bytes]:
        self._is_restored = True
        return super().restore(partition)

    def lag(self) -> dict[int, int]:
        return {partition: lag + self.hidden_lag for partition, lag in super().lag().items()}

    def commit_all(self, records: Sequence[Record], messages: Sequence[Message], states: States) -> None:
        fails, self._flaky.fails = self._flaky.fails, None
        if fails != "before":
            super().commit_all(records, messages, states)
            self._flaky.commits.append((records, messages, states))
        if fails:
            self.rebalance()
            raise self._flaky.error

    def rebalance(self) -> None:
        """The partition is revoked and assigned again."""
        self._position = self._committed[self._group]
        self._rebalance = Rebalance(assigned=frozenset({0}), revoked=frozenset({0}))
        self._is_restored = False


class Matcher:
    """A matcher under test, with its bus, index and clock."""

    def __init__(self, *, rule: AlertRule = RULE, **options: Any) -> None:
        self._rule = rule
        self.index = MemoryIndex(model_version=MODEL)
        self.bus = FlakyBus()
        self.clock = Clock()
        self._options = options
        self.restart()

    def restart(self, *, model_version: str | None = None) -> None:
        """Start again as after kill -9: only bus and index keep their content."""
        if model_version:
            self.index = MemoryIndex(model_version=model_version)
        self.states = StateStore()
        self.cache = MemoryCache(10**8)
        self.pipeline = MatchPipeline(
            index=self.index,
            cache=self.cache,
            candidates=NearestCandidates(self.index),
            states=self.states,
            rule=self._rule,
            clock=self.clock,
            **self._options,
        )
        self.worker = MatchWorker(
            self.bus,
            self.pipeline,
            self.states,
            asset_idle_s=IDLE_S,
            state_retention_s=RETENTION_S,
            clock=self.clock,
        )
        self.consumer: FlakyConsumer = self.worker._consumer  # type: ignore[assignment]

    def store(self, *assets: Sequence[DescribedSegment]) -> None:
        for segments in assets:
            self.index.store(segments)

    def publish(self, *events: Event) -> None:
        self.bus.publish([to_message(topics.ENCODED_SEGMENTS, event, source="copydetect/test") for event in events])

    def process(self, *events: Event) -> None:
        """Publish these events together, and process them."""
        self.publish(*events)
        self.run()

    def run(self) -> None:
        """Run until nothing is left to do."""
        while self.worker.run_once(0) or self.bus.lag():
            pass

    def wait(self, seconds: float, *, step_s: float = 60.0) -> None:
        """Run for `seconds` in which nothing is published."""
        until = self.clock.at + seconds
        while self.clock.at < until:
            self.clock.at += step_s
            self.run()

    def state(self, key: str = "default/copy") -> AssetState:
        state = self.states.get(0, key)
        assert state is not None
        return state

    def alerts(self) -> list[DuplicateAlert]:
        events = [to_event(record.message) for record in self.bus.records(topics.DUPLICATE_ALERTS)]
        assert all(isinstance(event, DuplicateAlert) for event in events)
        return events  # type: ignore[return-value]

    def latest(self) -> dict[str, DuplicateAlert]:
        """The highest revision by alert id; asserts that each revision is published once, without gaps."""
        latest: dict[str, DuplicateAlert] = {}
        for alert in self.alerts():
            assert alert.revision == (latest[alert.alert_id].revision + 1 if alert.alert_id in latest else 1)
            latest[alert.alert_id] = alert
        return latest

    def all_verdicts(self) -> list[AssetVerdict]:
        events = [to_event(record.message) for record in self.bus.records(topics.ASSET_VERDICTS)]
        assert all(isinstance(event, AssetVerdict) for event in events)
        return events  # type: ignore[return-value]

    def verdicts(self) -> dict[str, AssetVerdict]:
        by_asset = {event.key: event for event in self.all_verdicts()}
        assert len(by_asset) == len(self.all_verdicts()), "more than one verdict on an asset"
        return by_asset

    def dead_letters(self) -> list[Message]:
        return [record.message for record in self.bus.records(f"{topics.ENCODED_SEGMENTS}.dlq")]


def segment_events(segments: Iterable[DescribedSegment], *, model_version: str = MODEL) -> list[SegmentEncoded]:
    return [build_segment_encoded(one.row, model_version=model_version, index_timestamp=None) for one in segments]


def end_event(segments: Sequence[DescribedSegment], count: int | None = None) -> AssetEnded:
    last = segments[-1].row
    return build_asset_ended(last.tenant, last.asset_id, segment_count=count or len(segments), duration_s=last.end_s)


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
