"""What was replaced is deleted, one step after the events that announce what replaces it.

Content that replaces other content has keys of its own, so nothing has to be removed before it is stored. It is deleted
by generation, so that whatever is newer stays. A record is done only when what it replaces is deleted: after a crash,
or when its partition moves, it is delivered again, announced again, and what it replaces is found again.
"""

from collections.abc import Collection
from typing import NamedTuple

from services.contracts.ports import Record
from services.ingest.job import Job
from services.ingest.outcome import Outcome
from services.ingest.replaced import Replaced, make_tail
from services.ingest.store import SegmentStore

MAX_DELETIONS = 16  # records per step: each that leaves something takes the index some tenths of a second
MAX_DUE_DELETIONS = 64  # beyond that no record is accepted: ends of uploads come faster than the index deletes


class Due(NamedTuple):
    """A record whose events are published, and which is done when these are deleted."""

    record: Record
    replaced: tuple[Replaced, ...]


class Deletions:
    """What is to be deleted in one of the next steps, when the events of this one have been published."""

    def __init__(self, store: SegmentStore) -> None:
        self._store = store
        self._due: list[Due] = []

    def __len__(self) -> int:
        """The number of records that wait for a deletion."""
        return len(self._due)

    @property
    def has_room(self) -> bool:
        return len(self._due) < MAX_DUE_DELETIONS

    def add(self, record: Record, replaced: Collection[Replaced]) -> None:
        """Delete these because of the record; nothing if there are none."""
        if replaced:
            self._due.append(Due(record, tuple(replaced)))

    def make(self) -> list[Outcome]:
        """Delete what the oldest records replace. Returns the outcomes that end these."""
        due, self._due = self._due[:MAX_DELETIONS], self._due[MAX_DELETIONS:]
        self._store.delete([one for _, replaced in due for one in replaced])
        return [Outcome(record, (), done=True) for record, _ in due]

    def drop(self, partition: int) -> None:
        """Delete nothing because of records of this partition: whoever gets it does it."""
        self._due = [due for due in self._due if due.record.partition != partition]


def list_obsolete(job: Job) -> list[Replaced]:
    """What is to be deleted because of a job that has ended: its tail, and what it replaces if any of it is stored."""
    obsolete = list(job.replaced) if job.stored_count else []
    if job.upload.last_segment and job.upload.segment_index is not None:
        count = job.upload.segment_index + 1
        obsolete.append(make_tail(job.upload, segment_count=count, generation=job.generation))
    return obsolete
