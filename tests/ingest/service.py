"""All of ingest over fakes, with a bus that refuses to announce a segment that is not stored."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.backends.memory.bus import MemoryBus
from services.backends.memory.cache import MemoryCache
from services.backends.memory.index import MemoryIndex
from services.contracts import topics
from services.contracts.envelope import to_event, to_message
from services.contracts.errors import TransientError
from services.contracts.events import AssetEnded, Event, SegmentEncoded, SegmentStatus, SegmentUploaded
from services.contracts.generations import generation_of, select_current
from services.contracts.ports import Message
from services.contracts.segments import DescribedSegment, SegmentKey
from services.ingest.describe import BatchDescriber
from services.ingest.job import DescribeOptions
from services.ingest.pipeline import IngestPipeline
from services.ingest.ports import Fetches
from services.ingest.worker import IngestWorker
from services.runtime.group_lag import INGEST_GROUP
from tests.ingest.fakes import FakeExtractor, FakeFetches, FakePool, Step

AT = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
DIMENSION = 3
MODEL = "v1"
SEGMENT_S = 32
DEAD = f"{topics.VIDEO_SEGMENTS}.dlq"


class SpyIndex(MemoryIndex):
    """Returns a timestamp for each write, and logs what was stored and deleted."""

    def __init__(self) -> None:
        super().__init__(model_version=MODEL)
        self.log: list[str] = []
        self.down = False
        self.writes = 0

    def store(self, batch: Sequence[DescribedSegment]) -> int | None:
        if self.down:
            raise TransientError("the index is down")
        super().store(batch)
        self.log += [f"stored {segment.row.segment_id}" for segment in batch]
        self.writes += 1
        return self.writes

    def delete(
        self, tenant: str, asset_id: str, *, before: int, from_index: int = 0, to_index: int | None = None
    ) -> None:
        kept = len(self._segments)
        super().delete(tenant, asset_id, before=before, from_index=from_index, to_index=to_index)
        if len(self._segments) < kept:
            self.log.append(f"deleted {asset_id}")


class WitnessBus(MemoryBus):
    """Refuses to announce a segment that is not stored."""

    def __init__(self, index: SpyIndex) -> None:
        super().__init__()
        self._index = index

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            event = to_event(message) if message.topic == topics.ENCODED_SEGMENTS else None
            if isinstance(event, SegmentEncoded) and event.status != SegmentStatus.FAILED:
                assert event.content is not None
                key = SegmentKey(event.tenant, event.segment_id, event.content)
                stored = self._index.read([key])
                assert key in stored, f"{event.segment_id} was announced before it was stored"
                row = stored[key].row
                assert (row.frame_count, row.role) == (event.frame_count, event.role)
                assert (row.uploaded_at, row.is_whole_file) == (event.uploaded_at.timestamp(), event.is_whole_file)
                assert row.generation >= event.generation
                self._index.log.append(f"announced {event.segment_id}")
        super().publish(messages)


class Service:
    """Ingest over fakes; `restart` keeps what a crash leaves: the index, the bus and the files."""

    def __init__(self, folder: Path, workers: int = 2, max_files: int | None = None, max_parked: int = 10) -> None:
        self.folder = folder
        self._max_files = max_files or workers
        self._max_parked = max_parked
        self.index = SpyIndex()
        self.bus = WitnessBus(self.index)
        self.scripts: dict[str, list[Step]] = {}
        self._workers = workers
        self.restart()

    def restart(self, *, panels: bool = True) -> None:
        self.cache = MemoryCache(10**6)
        self.extractor = FakeExtractor()
        self.pool = self.make_pool()
        self.fetches = FakeFetches(self._max_files)
        self.pipeline = IngestPipeline(
            index=self.index,
            cache=self.cache,
            fetches=self.make_fetches(),
            pool=self.pool,
            describer=BatchDescriber(lambda: self.extractor),
            options=DescribeOptions(DIMENSION, segment_s=SEGMENT_S, panels=panels),
            max_parked=self._max_parked,
        )
        self.worker = IngestWorker(self.bus, self.pipeline)

    def make_pool(self) -> FakePool:
        return FakePool(self.scripts, self._workers)

    def make_fetches(self) -> Fetches:
        return self.fetches

    def write_film(self, name: str, *steps: Step, content: str = "film") -> str:
        """Write a file that decodes to these steps. Returns its path."""
        path = self.folder / name
        path.write_text(content)
        self.scripts[str(path)] = list(steps)
        return str(path)

    def publish(self, *events: Event) -> None:
        self.bus.publish([to_message(topics.VIDEO_SEGMENTS, event, source="copydetect/test") for event in events])

    def run(self) -> None:
        for _ in range(100):
            if not self.worker.run_once(0):
                return
        pytest.fail("the worker still has work after 100 steps")

    def events(self, since: int = 0) -> list[Event]:
        return [to_event(record.message) for record in self.bus.records(topics.ENCODED_SEGMENTS)[since:]]

    def segments(self, since: int = 0) -> list[SegmentEncoded]:
        return [event for event in self.events(since) if isinstance(event, SegmentEncoded)]

    def endings(self, since: int = 0) -> list[AssetEnded]:
        return [event for event in self.events(since) if isinstance(event, AssetEnded)]

    def generations(self) -> list[int]:
        """Of all records that were published, in their order."""
        return [generation_of(record) for record in self.bus.records(topics.VIDEO_SEGMENTS)]

    def stored(self, asset_id: str = "a") -> list[DescribedSegment]:
        """The current segments of the asset in the index."""
        rows = select_current(self.index.read_rows("default", [asset_id]))
        return [self.index.read([row.key])[row.key] for row in sorted(rows, key=lambda row: row.segment_index)]

    def cached(self, asset_id: str = "a") -> list[DescribedSegment]:
        """The same in the cache."""
        return [*self.cache.get_many([segment.row.key for segment in self.stored(asset_id)]).values()]

    def dead_letters(self) -> list[Message]:
        return [record.message for record in self.bus.records(DEAD)]

    def committed_offset(self) -> int:
        """The offset at which a worker would start now."""
        rest = self.bus.open_consumer(topics.VIDEO_SEGMENTS, INGEST_GROUP).poll(1, 0)
        return rest[0].offset if rest else len(self.bus.records(topics.VIDEO_SEGMENTS))


def upload(uri: str, asset_id: str = "a", **fields: Any) -> SegmentUploaded:
    return SegmentUploaded(**{"asset_id": asset_id, "uri": uri, "uploaded_at": AT, **fields})


def stable_fields(event: Event) -> tuple[object, ...]:
    """The fields that are equal each time an event is announced."""
    if isinstance(event, SegmentEncoded):
        return event.segment_id, event.role, event.start_s, event.end_s, event.status, event.frame_count
    assert isinstance(event, AssetEnded)
    return event.asset_id, event.segment_count, event.duration_s, event.status
