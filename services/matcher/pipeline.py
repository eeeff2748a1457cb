"""Encoded segments in, alerts and verdicts out: candidates -> rerank -> join -> announce.

A call changes nothing that is kept: the caller commits the batch and then lets `keep` make its states the current
ones, so that a batch that failed can be run again.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias

from services.contracts import topics
from services.contracts.envelope import dead_letter, to_event, to_message
from services.contracts.errors import InvalidMessage
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

SOURCE = "copydetect/matcher"

AssetKey: TypeAlias = tuple[str, str]  # tenant, asset_id
EncodedEvent: TypeAlias = SegmentEncoded | AssetEnded


class MatchPipeline:
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
        """`states`: holds the partitions that records come from.

        `searching_roles`: the roles that are searched for; segments of others only count as done.

        `already_decided`: assets whose events are passed over, because an earlier run of the same matcher decided on them.
        """
        self._model_version = index.model_version
        self._search = Search(DescriptorReader(index, cache), candidates, searching_roles)
        self._announce = Announcer(index, rule)
        self._states = states
        self._rule = rule
        self._settled = already_decided
        self._clock = clock

    def __call__(self, records: Sequence[Record]) -> Batch:
        batch = Batch()
        told: defaultdict[tuple[int, str], list[EncodedEvent]] = defaultdict(list)
        causes: dict[tuple[int, str], Message] = {}
        for record in records:
            try:
                event = self._parse(record, batch)
            except InvalidMessage as error:
                _add_dead_letter(record, error, batch)
                continue
            if (event.tenant, event.asset_id) not in self._settled:
                told[record.partition, event.key].append(event)
                causes[record.partition, event.key] = record.message
        for (partition, key), events in told.items():
            self._process_asset(partition, key, events, causes[partition, key], batch)
        return batch

    def end_idle(self, partition: int, keys: Iterable[str], idle_s: float) -> Batch:
        """What follows when these assets, of which nothing came for so long, are decided on with what there is."""
        batch = Batch()
        now = self._now()
        for key in keys:
            state = self._states.get(partition, key)
            assert state is not None
            state, announced = self._announce(end_for_silence(state, idle_s), now)
            self._put(partition, state, announced, now, None, batch)
        return batch

    def keep(self, batch: Batch) -> None:
        """Take the batch's states for true: it is committed."""
        self._states.put_all(batch.states)
        for (partition, key), at in batch.touched.items():
            self._states.touch(partition, key, at)

    def _parse(self, record: Record, batch: Batch) -> EncodedEvent:
        """The event in a record; a segment of another model becomes one that failed, and a dead letter."""
        event = to_event(record.message)
        if not isinstance(event, SegmentEncoded | AssetEnded):
            raise InvalidMessage(f"{type(event).__name__} does not belong on this topic", stage="parse")
        if isinstance(event, AssetEnded) or event.model_version == self._model_version:
            return event
        reason = f"described by model {event.model_version}, this matcher compares {self._model_version}"
        _add_dead_letter(record, InvalidMessage(reason, stage="parse"), batch)
        # It counts, so that its asset is decided on.
        failed = {"status": SegmentStatus.FAILED, "reason": reason, "frame_count": 0, "stamp": None}
        return event.model_copy(update={**failed, "model_version": self._model_version})

    def _process_asset(
        self, partition: int, key: str, events: Sequence[EncodedEvent], cause: Message, batch: Batch
    ) -> None:
        """Take the events of one asset into its state, and what follows into the batch."""
        now = self._now()
        before = self._states.get(partition, key) or AssetState(events[0].tenant, events[0].asset_id)
        state = said = before
        announced: list[DuplicateAlert | AssetVerdict] = []
        compared: dict[Content, Found] = {}
        for place, event in enumerate(events):
            if isinstance(event, AssetEnded):
                state = state.with_end(event)
            elif not state.is_already_known(event):
                content = Content.of(event)
                if content not in compared:
                    compared |= self._search(_segments(events[place:], state))
                state = state.with_segment(
                    event, compared[content].comparisons, self._rule.evidence_floor(event.tenant)
                )
            # Not later: a verdict must not depend on what else happens to be in the batch.
            if state.is_complete and not state.decided:
                state, news = self._announce(state, now)
                announced += news
                said = state
        if state is not said:
            state, news = self._announce(state, now)
            announced += news
        counts = [found.candidate_count for found in compared.values()]
        batch.candidate_counts += [count for count in counts if count is not None]
        if state is before:
            batch.touched[partition, key] = now.timestamp()
        else:
            self._put(partition, state, announced, now, cause, batch)

    def _put(
        self,
        partition: int,
        state: AssetState,
        announced: Iterable[DuplicateAlert | AssetVerdict],
        now: datetime,
        cause: Message | None,
        batch: Batch,
    ) -> None:
        for event in announced:
            topic = topics.ASSET_VERDICTS if isinstance(event, AssetVerdict) else topics.DUPLICATE_ALERTS
            batch.messages.append(to_message(topic, event, source=SOURCE, cause=cause))
            batch.announced.append(event)
        encoded = encode(replace(state, touched_at=now.timestamp()))
        batch.states.setdefault(partition, {})[state.key] = encoded

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def forget(partition: int, keys: Iterable[str]) -> Batch:
    """What follows when nothing is to be remembered of these assets any more."""
    return Batch(states={partition: dict.fromkeys(keys)})


def _add_dead_letter(record: Record, error: InvalidMessage, batch: Batch) -> None:
    batch.messages.append(dead_letter(record, error))
    batch.dead_stages.append(error.stage)


def _segments(events: Iterable[EncodedEvent], state: AssetState) -> list[SegmentEncoded]:
    return [event for event in events if isinstance(event, SegmentEncoded) and not state.is_already_known(event)]
