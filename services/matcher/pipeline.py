"""Encoded segments in, alerts and verdicts out: candidates -> rerank -> join -> announce.

A call changes nothing that is kept: the caller publishes the batch's messages and then lets `keep` make its states
the current ones, so that a failed publication can be run again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from services.contracts import topics
from services.contracts.envelope import dead_letter, to_event, to_message
from services.contracts.errors import InvalidMessage
from services.contracts.events import (
    AssetEnded,
    DuplicateAlert,
    Event,
    Role,
    SegmentEncoded,
    SegmentStatus,
    now,
)
from services.contracts.ports import DescribedSegment, DescriptorCache, DescriptorIndex, Message, Record, SegmentKey
from services.matcher.alert import Extent, alert_of, verdict_of
from services.matcher.candidates import CandidateStage
from services.matcher.rerank import Comparison, DescriptorReader, compare
from services.matcher.state import AssetState

SOURCE = "copydetect/matcher"

AssetKey = tuple[str, str]  # tenant, asset_id


@dataclass(frozen=True, slots=True)
class Batch:
    """What follows from some records: messages to publish, and the states that are true once they are."""

    messages: tuple[Message, ...]
    states: Mapping[AssetKey, AssetState]


class MatchPipeline:
    def __init__(
        self,
        *,
        index: DescriptorIndex,
        cache: DescriptorCache,
        candidates: CandidateStage,
        alert_threshold: float,
        evidence_floor: float,
        finders: frozenset[Role] = frozenset(Role),
        settled: frozenset[AssetKey] = frozenset(),
    ) -> None:
        """`finders`: the roles that are searched for; segments of others only count as done.

        `settled`: assets whose events are passed over, because an earlier run of the same matcher decided on them.
        """
        self._index = index
        self._read = DescriptorReader(index, cache)
        self._candidates = candidates
        self._alert_threshold = alert_threshold
        self._evidence_floor = evidence_floor
        self._finders = finders
        self._settled = settled
        self._states: dict[AssetKey, AssetState] = {}

    def __call__(self, records: Sequence[Record]) -> Batch:
        messages: list[Message] = []
        events: list[tuple[Record, SegmentEncoded | AssetEnded]] = []
        for record in records:
            try:
                event = self._parse(record)
                if (event.tenant, event.asset_id) not in self._settled:
                    events.append((record, event))
            except InvalidMessage as error:
                messages.append(dead_letter(record, error))
        compared = self._compare([event for _, event in events if isinstance(event, SegmentEncoded)])
        states: dict[AssetKey, AssetState] = {}
        causes: dict[AssetKey, Record] = {}
        for record, event in events:
            key = (event.tenant, event.asset_id)
            state = states.get(key) or self._states.get(key) or AssetState(event.tenant, event.asset_id)
            if isinstance(event, AssetEnded):
                states[key] = state.with_end(event)
            else:
                found = compared.get(SegmentKey(event.tenant, event.segment_id), ())
                states[key] = state.with_segment(event, found, self._evidence_floor)
            causes[key] = record
        for key, state in states.items():
            states[key], announced = self._announce(state)
            messages += (
                to_message(topic, event, source=SOURCE, cause=causes[key].message) for topic, event in announced
            )
        return Batch(tuple(messages), states)

    def keep(self, batch: Batch) -> None:
        """Take the batch's states for true: its messages are published."""
        self._states.update(batch.states)

    def _parse(self, record: Record) -> SegmentEncoded | AssetEnded:
        event = to_event(record.message)
        if not isinstance(event, SegmentEncoded | AssetEnded):
            raise InvalidMessage(f"{type(event).__name__} does not belong on this topic", stage="parse")
        if isinstance(event, SegmentEncoded) and event.model_version != self._index.model_version:
            raise InvalidMessage(
                f"described by model {event.model_version}, this matcher compares {self._index.model_version}",
                stage="parse",
            )
        return event

    def _compare(self, events: Iterable[SegmentEncoded]) -> dict[SegmentKey, list[Comparison]]:
        """Each described segment compared with its candidates; one search for all segments of an asset."""
        by_asset: dict[AssetKey, dict[SegmentKey, SegmentEncoded]] = defaultdict(dict)
        for event in events:
            if event.status == SegmentStatus.DESCRIBED and event.role in self._finders:
                by_asset[event.tenant, event.asset_id][SegmentKey(event.tenant, event.segment_id)] = event
        compared: dict[SegmentKey, list[Comparison]] = {}
        for wanted in by_asset.values():
            queries = _whole(wanted, self._read(wanted.keys()))  # one deleted or replaced meanwhile may not be there
            if not queries:
                continue
            candidates = self._candidates(queries, after=_newest(wanted.values()))
            read = self._read({key for keys in candidates for key in keys})
            for query, keys in zip(queries, candidates, strict=True):
                compared[query.row.key] = compare(query, _whole(keys, read))
        return compared

    def _announce(self, state: AssetState) -> tuple[AssetState, list[tuple[str, Event]]]:
        """What has to be said of an asset now, and its state once it was said."""
        others = self._others(state.tenant, [other for other, pair in state.pairs.items() if pair.evidence])
        query_frames = sum(state.frame_counts.values())
        joined = {
            other: pair.joined(
                query_frames=query_frames, reference_frames=others[other].frame_count if other in others else 0
            )
            for other, pair in state.pairs.items()
            if pair.evidence
        }
        due = {
            other: evidence
            for other, evidence in joined.items()
            if state.pairs[other].alert or evidence.score >= self._alert_threshold
        }
        at = now()
        alerts: dict[str, DuplicateAlert] = {}
        for other, evidence in due.items():
            alert = alert_of(
                state,
                state.pairs[other],
                evidence,
                other=others.get(other),
                model_version=self._index.model_version,
                now=at,
            )
            if alert:
                alerts[other] = alert
        state = state.with_alerts(alerts)
        announced: list[tuple[str, Event]] = [(topics.DUPLICATE_ALERTS, alert) for alert in alerts.values()]
        if state.is_complete() and not state.decided:
            announced.append((topics.ASSET_VERDICTS, verdict_of(state, now=at)))
            state = replace(state, decided=True)
        return state, announced

    def _others(self, tenant: str, asset_ids: Collection[str]) -> dict[str, Extent]:
        extents: dict[str, Extent] = {}
        for row in self._index.assets(tenant, asset_ids) if asset_ids else ():
            known = extents.get(row.asset_id, Extent(row.uploaded_at, row.end_s, 0))
            extents[row.asset_id] = Extent(
                uploaded_at=min(known.uploaded_at, row.uploaded_at),
                duration_s=max(known.duration_s, row.end_s),
                frame_count=known.frame_count + row.frame_count,
            )
        return extents


def _newest(events: Iterable[SegmentEncoded]) -> int | None:
    """The timestamp that a search for these must see; None, the strongest demand, when one of them has none."""
    timestamps = [event.index_timestamp for event in events]
    known = [timestamp for timestamp in timestamps if timestamp is not None]
    return max(known) if known and len(known) == len(timestamps) else None


def _whole(keys: Iterable[SegmentKey], read: Mapping[SegmentKey, DescribedSegment]) -> list[DescribedSegment]:
    return [read[key] for key in keys if key in read and read[key].row.frame_count > 0]
