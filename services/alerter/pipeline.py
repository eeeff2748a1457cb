"""Evidence in, alerts and verdicts out: fold -> announce.

A call changes no stored state: the caller commits the batch and then calls `keep`, which makes its states current.
So a batch that failed can be run again.

The effects of one event are never divided: content that is replaced or removed drops a record for each piece of
evidence about it, which `Bounds` limits, and tells each asset whose alert names it, which nothing limits.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import structlog

from services.alerter import fold, obsolete
from services.alerter.announce import Announcer
from services.alerter.batch import Batch
from services.alerter.pair import BOUNDS, Bounds
from services.alerter.state import AssetState
from services.alerter.state_codec import encode_changes, get_asset_key
from services.alerter.state_store import StateStore
from services.alerter.verdict import end_for_silence
from services.contracts import topics
from services.contracts.envelope import read_event, to_dead_letter, to_message
from services.contracts.errors import CopydetectError, InvalidMessage
from services.contracts.events import (
    AssetEnded,
    AssetErased,
    AssetEvent,
    AssetRemovedAck,
    AssetVerdict,
    DuplicateAlert,
    Event,
    SegmentStatus,
)
from services.contracts.evidence import PairEvidence, PairLinked, SegmentRange, SegmentSearched, SideReplaced
from services.contracts.ports import Message, Record
from services.runtime.rule import AlertRule

log = structlog.get_logger(__name__)

SOURCE = "copydetect/alerter"


class Cause(NamedTuple):
    """An event, and the message that brought it."""

    event: AssetEvent
    message: Message


class AlertPipeline:
    """Turns records into a batch of effects, by the states of their assets."""

    def __init__(
        self,
        *,
        states: StateStore,
        rule: AlertRule,
        bounds: Bounds = BOUNDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`states`: those of all partitions that records come from."""
        self._announce = Announcer(rule)
        self._bounds = bounds
        self._states = states
        self._clock = clock

    def __call__(self, records: Sequence[Record]) -> Batch:
        """All effects of these records; the events of one asset are announced together."""
        batch = Batch()
        by_asset: defaultdict[tuple[int, str], list[Cause]] = defaultdict(list)
        for record in records:
            try:
                event = _read(record)
            except InvalidMessage as error:
                _add_dead_letter(record, error, batch)
                continue
            by_asset[record.partition, event.key].append(Cause(event, record.message))
        for (partition, _), causes in by_asset.items():
            self._process_asset(partition, causes, batch)
        return batch

    def give_up(self, record: Record, error: InvalidMessage) -> Batch:
        """All effects of giving a record up: a dead letter, and a described segment counts as compared with nothing."""
        batch = Batch()
        with suppress(InvalidMessage):
            event = _read(record)
            if isinstance(event, SegmentSearched):
                if event.status == SegmentStatus.DESCRIBED:
                    missed = {"is_compared": False, "reason": error.reason, "findings": ()}
                    event = event.model_copy(update=missed)
                self._process_asset(record.partition, [Cause(event, record.message)], batch)
        _add_dead_letter(record, error, batch)
        return batch

    def end_idle(self, partition: int, keys: Iterable[str], idle_s: float, batch: Batch, limit: int) -> None:
        """Add all effects of deciding these assets, idle for `idle_s` seconds, with the segments they have.

        Stops when the batch has `limit` records. An asset that cannot be decided, by a defect of this program, is left
        open and counts as touched now.
        """
        for key in keys:
            if batch.record_count >= limit:
                return
            try:
                state = self._states.get(partition, key)
                assert state is not None
                after = self._announce_all(state, end_for_silence(state, idle_s), None, batch)
                self._store(partition, state, after, batch)
            except CopydetectError:
                raise
            except Exception as error:
                log.error("a defect of this program: an idle asset is not decided", asset=key, exc_info=error)
                batch.touched[partition, key] = self._clock()

    def forget(self, partition: int, keys: Iterable[str], batch: Batch, limit: int) -> None:
        """Add the removal of the states of these assets until the batch has `limit` records; of the last one a part."""
        for key in keys:
            if (room := limit - batch.record_count) <= 0:
                return
            batch.states.setdefault(partition, {}).update(self._states.forget(partition, key, room))
            batch.assets[partition, key] = None

    def keep(self, batch: Batch) -> None:
        """Make the states of a committed batch current."""
        records: defaultdict[tuple[int, str], dict[str, bytes | None]] = defaultdict(dict)
        for partition, changed in batch.states.items():
            for name, encoded in changed.items():
                records[partition, get_asset_key(name)][name] = encoded
        for place, state in batch.assets.items():
            self._states.put(*place, records[place], state)
        for (partition, key), at in batch.touched.items():
            self._states.touch(partition, key, at)

    def _process_asset(self, partition: int, causes: Sequence[Cause], batch: Batch) -> None:
        """Add the effects of the events of one asset."""
        first = causes[0].event
        before = self._states.get(partition, first.key) or AssetState(first.tenant, first.asset_id)
        state = announced = before
        for event, message in causes:
            state = self._fold(state, event, message, batch)
            # A verdict must not depend on what else is in the batch.
            if state.is_complete and state.newest_generation > state.answered:
                state = announced = self._announce_all(announced, state, message, batch)
        if state is not announced:
            state = self._announce_all(announced, state, causes[-1].message, batch)
        if state is before:
            batch.touched[partition, first.key] = self._clock()
        else:
            self._store(partition, before, state, batch)

    def _fold(self, state: AssetState, event: AssetEvent, cause: Message, batch: Batch) -> AssetState:
        """The state after an event. Adds what the partitions of other assets need to know."""
        if isinstance(event, PairLinked) and event.is_live and (stale := obsolete.find_stale(state, event.compared)):
            self._add_message(_tell_replaced(state, event.query_id, stale), cause, batch)
        folded = fold.fold(state, event, self._bounds)
        if isinstance(event, SideReplaced) and not _has_live_alert(folded.state, event.reference_id):
            self._add_message(_unlink(event), cause, batch)
        if folded.replaced:
            for query_id in folded.state.links:
                self._add_message(_tell_replaced(state, query_id, folded.replaced), cause, batch)
        return folded.state

    def _announce_all(self, before: AssetState, state: AssetState, cause: Message | None, batch: Batch) -> AssetState:
        """Add the events that are due since the state `before`, and return the state after them."""
        state, events = self._announce(before, state, datetime.fromtimestamp(self._clock(), UTC))
        for event in events:
            self._add_message(event, cause, batch)
        batch.announced += events
        return state

    def _store(self, partition: int, before: AssetState, state: AssetState, batch: Batch) -> None:
        state = replace(state, touched_at=self._clock())
        batch.states.setdefault(partition, {}).update(encode_changes(before, state))
        batch.assets[partition, state.key] = state

    def _add_message(self, event: Event, cause: Message | None, batch: Batch) -> None:
        match event:
            case DuplicateAlert():
                topic = topics.DUPLICATE_ALERTS
            case AssetVerdict() | AssetRemovedAck():
                topic = topics.ASSET_VERDICTS
            case _:
                topic = topics.MATCH_EVIDENCE
        batch.messages.append(to_message(topic, event, source=SOURCE, cause=cause))


def _read(record: Record) -> AssetEvent:
    event = read_event(record)
    kinds = SegmentSearched | PairEvidence | AssetEnded | AssetErased | PairLinked | SideReplaced
    if not isinstance(event, kinds):
        raise InvalidMessage(f"{type(event).__name__} does not belong on this topic", stage="parse")
    return event


def _has_live_alert(state: AssetState, reference_id: str) -> bool:
    pair = state.pairs.get(reference_id)
    return pair is not None and pair.is_live


def _tell_replaced(state: AssetState, query_id: str, replaced: tuple[SegmentRange, ...]) -> SideReplaced:
    return SideReplaced(tenant=state.tenant, asset_id=query_id, reference_id=state.asset_id, replaced=replaced)


def _unlink(event: SideReplaced) -> PairLinked:
    """The answer to a reference whose link is outdated: no live alert rests on it."""
    return PairLinked(
        tenant=event.tenant, asset_id=event.reference_id, query_id=event.asset_id, alert_id="", is_live=False
    )


def build_dead_letter(record: Record, error: InvalidMessage) -> Batch:
    """The batch of a dead letter alone."""
    batch = Batch()
    _add_dead_letter(record, error, batch)
    return batch


def _add_dead_letter(record: Record, error: InvalidMessage, batch: Batch) -> None:
    batch.messages.append(to_dead_letter(record, error))
    batch.dead_stages.append(error.stage)
