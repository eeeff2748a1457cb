"""What was replaced is deleted, one step after the events that announce what replaces it.

Content that replaces other content has keys of its own, so nothing has to be removed before it is stored. It is deleted
by generation, so that whatever is newer stays. A crash before the deletion leaves rows that select_current passes over,
and that the next upload of the asset finds and deletes.
"""

from services.contracts.events import UploadEnded
from services.contracts.generations import generation_of
from services.contracts.ports import Record
from services.ingest.job import Job
from services.ingest.replaced import Replaced, make_tail


class Deletions:
    """What is to be deleted in the next step, when the events of this one have been published."""

    def __init__(self) -> None:
        self._due: list[tuple[Record, Replaced]] = []

    def __len__(self) -> int:
        return len(self._due)

    def add_job(self, job: Job) -> None:
        """Delete what this job replaces, which has ended; nothing if nothing of it is stored."""
        if job.stored_count:
            self._due += [(job.record, one) for one in job.replaced]
        if job.upload.last_segment and job.upload.segment_index is not None:
            count = job.upload.segment_index + 1
            self._due.append((job.record, make_tail(job.upload, segment_count=count, generation=job.generation)))

    def add_end(self, record: Record, event: UploadEnded) -> None:
        """Delete what an earlier upload had beyond this end."""
        tail = make_tail(event, segment_count=event.segment_count, generation=generation_of(record))
        self._due.append((record, tail))

    def take(self, count: int) -> list[Replaced]:
        """Up to `count` of the oldest, which are no longer due: what then is not deleted, the next upload finds."""
        taken, self._due = self._due[:count], self._due[count:]
        return [replaced for _, replaced in taken]

    def drop(self, partition: int) -> None:
        """Delete nothing because of records of this partition: perhaps their events were not published."""
        self._due = [(record, replaced) for record, replaced in self._due if record.partition != partition]
