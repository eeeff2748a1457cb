"""Encoded segments in, evidence out: candidates -> rerank -> findings. Keeps no state, so work can be repeated.

What a segment shows about a pair goes to the query side of the pair: with the segment itself if that is its own asset,
else as a message of its own.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, TypeAlias

from services.contracts import topics
from services.contracts.envelope import read_event, to_dead_letter, to_message
from services.contracts.errors import InvalidMessage
from services.contracts.events import AssetEnded, AssetErased, Event, Role, SegmentEncoded, SegmentStatus
from services.contracts.evidence import AssetFacts, Finding, PairEvidence, SegmentSearched
from services.contracts.ports import Message, Record
from services.contracts.segments import SegmentKey
from services.matcher.findings import FindingBuilder, FindingsOfAsset
from services.matcher.search import Found, Search
from services.runtime import metrics
from tca_model.matching.calibration import Calibration

SOURCE = "copydetect/matcher"

AssetKey: TypeAlias = tuple[str, str]  # tenant, asset_id
EncodedEvent: TypeAlias = SegmentEncoded | AssetEnded | AssetErased

OTHER_MODEL, EARLIER_RELEASE = "of another model", "of an earlier release"
for _reason in (OTHER_MODEL, EARLIER_RELEASE):
    metrics.left_events.labels(_reason)  # a series that begins with its first increase shows none


class Work(NamedTuple):
    """Records of one asset, in order, and the events in them."""

    records: list[Record]
    events: list[EncodedEvent]


class MatchPipeline:
    """Turns records into messages for the alerter."""

    def __init__(
        self,
        *,
        model_version: str,
        calibration: Calibration,
        search: Search,
        build_findings: FindingBuilder,
        searching_roles: frozenset[Role] = frozenset(Role),
        already_decided: frozenset[AssetKey] = frozenset(),
    ) -> None:
        """`searching_roles`: only segments with these roles search; others only count as complete.

        `already_decided`: assets whose events are skipped, because an earlier run of the same matcher decided them.
        """
        self._model_version = model_version
        # Without the text that explains it, which no event needs.
        self._calibration = calibration.model_copy(update={"basis": ""})
        self._search = search
        self._build_findings = build_findings
        self._searching_roles = searching_roles
        self._already_decided = already_decided

    def sort(self, records: Sequence[Record]) -> tuple[list[Work], list[Message]]:
        """The work on these records, by asset, and the dead letters of those that are invalid."""
        by_asset: defaultdict[tuple[int, str], Work] = defaultdict(lambda: Work([], []))
        dead_letters = []
        for record in records:
            try:
                event = self._read(record)
            except InvalidMessage as error:
                dead_letters.append(refuse(record, error))
                continue
            if (event.tenant, event.asset_id) in self._already_decided:
                continue
            if reason := self._find_reason_to_leave(event):
                metrics.left_events.labels(reason).inc()
            else:
                work = by_asset[record.partition, event.key]
                work.records.append(record)
                work.events.append(event)
        return list(by_asset.values()), dead_letters

    def __call__(self, work: Work) -> list[Message]:
        """The messages that follow from the records of one asset, in order. For any number of threads."""
        found, findings = self._search_all([event for event in work.events if isinstance(event, SegmentEncoded)])
        messages = []
        for record, event in zip(work.records, work.events, strict=True):
            events: list[Event] = [event]
            if isinstance(event, SegmentEncoded):
                events = self._to_evidence(event, found, findings)
            messages += [to_message(topics.MATCH_EVIDENCE, one, source=SOURCE, cause=record.message) for one in events]
        return messages

    def give_up(self, record: Record, error: InvalidMessage) -> list[Message]:
        """The messages that give a record up: what its asset needs to be decided, and a dead letter.

        A segment that was to be searched stays described, and counts as compared with nothing.
        """
        messages = []
        with suppress(InvalidMessage):
            event: Event = self._read(record)
            if isinstance(event, SegmentEncoded):
                is_missed = self._is_searched_for(event)
                event = event.model_copy(update={"reason": error.reason}) if is_missed else event
                event = self._to_searched(event, (), is_compared=not is_missed)
            messages.append(to_message(topics.MATCH_EVIDENCE, event, source=SOURCE, cause=record.message))
        return [*messages, refuse(record, error)]

    def _find_reason_to_leave(self, event: EncodedEvent) -> str | None:
        """Why the event is left to other matchers, which have a group of their own; None if it is not."""
        if event.model_version not in (None, self._model_version):
            return OTHER_MODEL
        # Announced by a release whose index has another layout.
        return None if event.generation else EARLIER_RELEASE

    def _read(self, record: Record) -> EncodedEvent:
        event = read_event(record)
        if not isinstance(event, SegmentEncoded | AssetEnded | AssetErased):
            raise InvalidMessage(f"{type(event).__name__} does not belong on this topic", stage="parse")
        return event

    def _search_all(self, events: Sequence[SegmentEncoded]) -> tuple[dict[SegmentKey, Found], FindingsOfAsset]:
        """What the searches for these segments of one asset found; those that need none are left out."""
        searching = [event for event in events if self._is_searched_for(event)]
        if not searching:
            return {}, FindingsOfAsset(None, {})
        found = self._search([_key(event) for event in searching], after=_newest_timestamp(searching))
        for one in found.values():
            metrics.candidates.observe(one.candidate_count)
        return found, self._build_findings(events[0].tenant, events[0].asset_id, found.values())

    def _is_searched_for(self, event: SegmentEncoded) -> bool:
        return event.status == SegmentStatus.DESCRIBED and event.role in self._searching_roles

    def _to_evidence(
        self, event: SegmentEncoded, found: dict[SegmentKey, Found], findings: FindingsOfAsset
    ) -> list[Event]:
        """The events about one segment: evidence for other assets first, then the segment with its own."""
        is_searched_for = self._is_searched_for(event)
        is_missing = is_searched_for and _key(event) not in found
        metrics.uncompared_segments.inc(is_missing)
        own: list[Finding] = []
        others: list[Event] = []
        for finding in findings.findings.get(_key(event), ()) if is_searched_for else ():
            if findings.facts is None:  # removed since the search
                break
            if findings.facts.side_order < finding.other.side_order:
                others.append(self._to_pair_evidence(event, findings.facts, finding))
            else:
                own.append(finding)
        return [*others, self._to_searched(event, tuple(own), is_compared=not is_missing)]

    def _to_searched(
        self, event: SegmentEncoded, findings: tuple[Finding, ...], *, is_compared: bool
    ) -> SegmentSearched:
        return SegmentSearched(
            **event.model_dump(
                exclude={"schema_version", "segment_id", "index_timestamp", "encoded_at"},
            ),
            is_compared=is_compared,
            calibration=self._calibration,
            findings=findings,
        )

    def _to_pair_evidence(self, event: SegmentEncoded, reference: AssetFacts, finding: Finding) -> PairEvidence:
        return PairEvidence(
            tenant=event.tenant,
            asset_id=finding.other.asset_id,
            reference=reference,
            generation=event.generation,
            start_s=event.start_s,
            end_s=event.end_s,
            finding=finding,
            model_version=self._model_version,
            calibration=self._calibration,
        )


def refuse(record: Record, error: InvalidMessage) -> Message:
    """Count a dead letter of the record, and return it."""
    metrics.dead_letters.labels(error.stage).inc()
    return to_dead_letter(record, error)


def _key(event: SegmentEncoded) -> SegmentKey:
    return SegmentKey(event.tenant, event.segment_id, event.content or "")


def _newest_timestamp(events: Sequence[SegmentEncoded]) -> int | None:
    """The write timestamp that a search for these events must see; None (see every write) if one of them has none."""
    timestamps = [event.index_timestamp for event in events]
    known = [timestamp for timestamp in timestamps if timestamp is not None]
    return max(known) if len(known) == len(timestamps) else None
