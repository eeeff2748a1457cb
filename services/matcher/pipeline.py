"""Encoded segments in, alerts and verdicts out: candidates -> rerank -> join -> announce.

A call changes no stored state: the caller commits the batch and then calls `keep`, which makes its states current.
So a batch that failed can be run again.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias

import structlog

from services.contracts import topics
from services.contracts.envelope import read_event, to_dead_letter, to_message
from services.contracts.errors import CopydetectError, InvalidMessage
from services.contracts.events import AssetEnded, AssetVerdict, DuplicateAlert, Role, SegmentEncoded, SegmentStatus
from services.contracts.ports import DescriptorCache, DescriptorIndex, Message, Record
from services.matcher.announce import Announcer, end_for_silence
from services.matcher.batch import Batch
from services.matcher.candidates import CandidateStage
from services.matcher.rerank import DescriptorReader
from services.matcher.rule import AlertRule
from services.matcher.search import Content, Found, Search
from services.matcher.state import AssetState
from services.matcher.state_codec import encode
from services.matcher.state_store import StateStore

log = structlog.get_logger(__name__)

SOURCE = "copydetect/matcher"

AssetKey: TypeAlias = tuple[str, str]  # tenant, asset_id
EncodedEvent: TypeAlias = SegmentEncoded | AssetEnded


class MatchPipeline:
    """Turns records into a batch of effects, by the states of their assets."""

    def __init__(
        self,
        *,
        index: DescriptorIndex,
        cache: DescriptorCache,
        candidates: CandidateStage,
        states: StateStore,
        rule: AlertRule,
        searching_roles: frozenset[Role] = frozenset(Role),
        already_decided: frozenset[AssetKey] = frozenset(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`states`: those of all partitions that records come from.

        `searching_roles`: only segments with these roles search; others only count as complete.

        `already_decided`: assets whose events are skipped, because an earlier run of the same matcher decided them.
        """
        self._model_version = index.model_version
        self._search = Search(DescriptorReader(index, cache), candidates, searching_roles)
        self._announce = Announcer(index, rule)
        self._states = states
        self._rule = rule
        self._already_decided = already_decided
        self._clock = clock

    def __call__(self, records: Sequence[Record], *, after_asset: Callable[[], None] = lambda: None) -> Batch:
        """All effects of these records. Events of one asset are processed together, so they share its searches.

        `after_asset` is called after each asset: its searches and reads may last seconds.
        """
        batch = Batch()
        by_asset: defaultdict[tuple[int, str], list[EncodedEvent]] = defaultdict(list)
        causes: dict[tuple[int, str], Message] = {}
        for record in records:
            try:
                event = self._parse(record, batch)
            except InvalidMessage as error:
                _add_dead_letter(record, error, batch)
                continue
            if (event.tenant, event.asset_id) not in self._already_decided:
                by_asset[record.partition, event.key].append(event)
                causes[record.partition, event.key] = record.message
        for (partition, key), events in by_asset.items():
            self._process_asset(partition, key, events, causes[partition, key], batch)
            after_asset()
        return batch

    def give_up(self, record: Record, error: InvalidMessage) -> Batch:
        """All effects of giving a record up: a dead letter, and a segment that failed if it is one."""
        batch = Batch()
        with suppress(InvalidMessage):
            event = read_event(record)
            if isinstance(event, SegmentEncoded):
                failed = self._to_failed(event, error.reason)
                self._process_asset(record.partition, event.key, [failed], record.message, batch)
        _add_dead_letter(record, error, batch)
        return batch

    def end_idle(self, partition: int, keys: Iterable[str], idle_s: float) -> Batch:
        """All effects of deciding these assets, idle for `idle_s` seconds, with the segments they have.

        One that cannot be decided, by a defect of this program, is left open and counts as touched now.
        """
        batch = Batch()
        now = self._now()
        for key in keys:
            try:
                state = self._states.get(partition, key)
                assert state is not None
                state, announced = self._announce(end_for_silence(state, idle_s), now)
                self._add_effects(partition, state, announced, now, None, batch)
            except CopydetectError:
                raise
            except Exception as error:
                log.error("a defect of this program: an idle asset is not decided", asset=key, exc_info=error)
                batch.touched[partition, key] = now.timestamp()
        return batch

    def keep(self, batch: Batch) -> None:
        """Make the states of a committed batch current."""
        self._states.put_all(batch.states)
        for (partition, key), at in batch.touched.items():
            self._states.touch(partition, key, at)

    def _parse(self, record: Record, batch: Batch) -> EncodedEvent:
        """The event in a record. A segment of another model is read as failed, and its record is dead-lettered."""
        event = read_event(record)
        if not isinstance(event, SegmentEncoded | AssetEnded):
            raise InvalidMessage(f"{type(event).__name__} does not belong on this topic", stage="parse")
        if isinstance(event, AssetEnded) or event.model_version == self._model_version:
            return event
        reason = f"described by model {event.model_version}, this matcher compares {self._model_version}"
        _add_dead_letter(record, InvalidMessage(reason, stage="parse"), batch)
        return self._to_failed(event, reason)

    def _to_failed(self, event: SegmentEncoded, reason: str) -> SegmentEncoded:
        """The segment as one that failed: it still counts, so that its asset can be decided."""
        failed = {"status": SegmentStatus.FAILED, "reason": reason, "frame_count": 0, "stamp": None}
        return event.model_copy(update={**failed, "model_version": self._model_version})

    def _process_asset(
        self, partition: int, key: str, events: Sequence[EncodedEvent], cause: Message, batch: Batch
    ) -> None:
        """Add the events of one asset to its state, and all effects to the batch."""
        now = self._now()
        before = self._states.get(partition, key) or AssetState(events[0].tenant, events[0].asset_id)
        state = announced_state = before
        announced: list[DuplicateAlert | AssetVerdict] = []
        compared: dict[Content, Found] = {}
        for position, event in enumerate(events):
            if isinstance(event, AssetEnded):
                state = state.with_end(event)
            elif not state.is_already_known(event):
                content = Content.of(event)
                if content not in compared:
                    compared |= self._search(_select_new(events[position:], state))
                found = compared[content]
                is_missed = found.candidate_count is None and self._search.is_searched_for(event)
                batch.uncompared += is_missed
                floor = self._rule.evidence_floor(event.tenant)
                state = state.with_segment(event, found.comparisons, floor, is_missed=is_missed)
            # Announce here, not after the loop: a verdict must not depend on what else is in the batch.
            if state.is_complete and not state.decided:
                state, news = self._announce(state, now)
                announced += news
                announced_state = state
        if state is not announced_state:
            state, news = self._announce(state, now)
            announced += news
        counts = [found.candidate_count for found in compared.values()]
        batch.candidate_counts += [count for count in counts if count is not None]
        if state is before:
            batch.touched[partition, key] = now.timestamp()
        else:
            self._add_effects(partition, state, announced, now, cause, batch)

    def _add_effects(
        self,
        partition: int,
        state: AssetState,
        announced: Iterable[DuplicateAlert | AssetVerdict],
        now: datetime,
        cause: Message | None,
        batch: Batch,
    ) -> None:
        """Add the messages and the new state of an asset to the batch."""
        encoded = encode(replace(state, touched_at=now.timestamp()))
        for event in announced:
            topic = topics.ASSET_VERDICTS if isinstance(event, AssetVerdict) else topics.DUPLICATE_ALERTS
            batch.messages.append(to_message(topic, event, source=SOURCE, cause=cause))
            batch.announced.append(event)
        batch.states.setdefault(partition, {})[state.key] = encoded

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def removal_of(partition: int, keys: Iterable[str]) -> Batch:
    """The batch that removes the states of these assets."""
    return Batch(states={partition: dict.fromkeys(keys)})


def build_dead_letter(record: Record, error: InvalidMessage) -> Batch:
    """The batch of a dead letter alone."""
    batch = Batch()
    _add_dead_letter(record, error, batch)
    return batch


def _add_dead_letter(record: Record, error: InvalidMessage, batch: Batch) -> None:
    batch.messages.append(to_dead_letter(record, error))
    batch.dead_stages.append(error.stage)


def _select_new(events: Iterable[EncodedEvent], state: AssetState) -> list[SegmentEncoded]:
    return [event for event in events if isinstance(event, SegmentEncoded) and not state.is_already_known(event)]
