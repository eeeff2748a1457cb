"""What a worker must not store, or has stored although it must not: segments of partitions that it has lost.

While a call waits for the index, a partition may move. Its new owner does the upload, and then perhaps the removal of
the asset: what is stored after that nobody would ever collect. So before each attempt to store, what has another owner
is left out. A process that stood still learns of it too late: what it stored in doubt is kept in mind, and if the
partition turns out to be lost, the removals that followed are done again. Nothing else may be deleted: the new owner's
segments of the same record have the same keys.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from services.contracts.envelope import read_event
from services.contracts.errors import InvalidMessage
from services.contracts.events import AssetRemoved, SegmentUploaded
from services.contracts.ports import Record
from services.contracts.segments import DescribedSegment
from services.ingest.job import Job, Removal
from services.ingest.ports import ReadableBus

SILENCE_S = 5.0  # without a poll; below the time after which brokers give the partitions of a silent member away
DOUBT_S = 60.0  # after a silence, in which the client learns that its partitions are lost


class Written(NamedTuple):
    """The record for which something was stored, the key of its asset, and when, by the clock of the process."""

    key: str
    record: Record
    at_s: float


class Ownership:
    """Of which partitions the work in progress has another owner. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._revoked: set[int] = set()
        self._storing: Sequence[Job] = ()
        self._polled_s = clock()
        self._doubtful_until_s = 0.0
        self._doubtful: list[Written] = []

    def note_poll(self, revoked: Collection[int]) -> None:
        """Note that the group was polled, and that these partitions were revoked since the last time."""
        now_s = self._clock()
        if now_s - self._polled_s > SILENCE_S:
            self._doubtful_until_s = now_s + DOUBT_S
        self._polled_s = now_s
        self._revoked |= set(revoked)
        self._doubtful = [one for one in self._doubtful if now_s - one.at_s < DOUBT_S]

    def owns(self, record: Record) -> bool:
        """Whether its partition was not revoked since the record was accepted, as far as is known."""
        return record.partition not in self._revoked

    @contextmanager
    def storing(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Segments of these jobs are stored inside: `choose` knows their owners."""
        self._storing = jobs
        try:
            yield
        finally:
            self._storing = ()
            now_s = self._clock()
            if now_s < self._doubtful_until_s or now_s - self._polled_s > SILENCE_S:
                self._doubtful += [Written(job.key, job.record, now_s) for job in jobs]

    def choose(self, batch: Sequence[DescribedSegment]) -> list[DescribedSegment]:
        """Those of the segments that are still this worker's to store."""
        lost = {(job.key, job.generation) for job in self._storing if not self.owns(job.record)}
        return [one for one in batch if (f"{one.row.tenant}/{one.row.asset_id}", one.row.generation) not in lost]

    def release(self, partition: int) -> list[Written]:
        """Forget a revoked partition that has no work left. Returns what was stored for it in doubt."""
        self._revoked.discard(partition)
        released = [one for one in self._doubtful if one.record.partition == partition]
        self._doubtful = [one for one in self._doubtful if one.record.partition != partition]
        return released


def find_removals(bus: ReadableBus, written: Sequence[Written]) -> list[Removal]:
    """The removals of these assets that follow these records, which are of one partition, in its topic.

    None of an asset that was uploaded again after it: its new segments may have the keys of those that were removed.
    """
    first: dict[str, Record] = {}
    for one in written:
        first[one.key] = min(one.record, first.get(one.key, one.record), key=lambda record: record.offset)
    start = min(first.values(), key=lambda record: record.offset)
    removals: dict[str, Removal] = {}
    for record in bus.read([start.message.topic], starts={start.partition: start.offset + 1}):
        try:
            event = read_event(record)
        except InvalidMessage:
            continue  # its owner makes a dead letter of it
        if event.key in first and first[event.key].offset < record.offset:
            if isinstance(event, AssetRemoved):
                removals[event.key] = Removal(record, event)
            elif isinstance(event, SegmentUploaded):
                removals.pop(event.key, None)
    return list(removals.values())
