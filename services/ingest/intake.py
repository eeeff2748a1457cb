"""Which records are accepted, and when their files are fetched.

A record is parked until its file may be fetched. It is kept in memory: in a topic of retries, it would be overtaken by
later uploads and removals of its asset.
"""

from services.contracts.ports import Record
from services.ingest.in_flight import InFlight
from services.ingest.ports import Fetches

MAX_REMOVALS = 16  # at once: each takes the index some tenths of a second


class Intake:
    """Has room while `fetches` have some for another file, and fewer than `max_parked` records are parked."""

    def __init__(self, in_flight: InFlight, fetches: Fetches, max_parked: int) -> None:
        self._in_flight = in_flight
        self._fetches = fetches
        self._max_parked = max_parked

    @property
    def has_room(self) -> bool:
        is_bounded = self.parked_records < self._max_parked and len(self._in_flight.removals) < MAX_REMOVALS
        return is_bounded and self._fetches.has_room

    @property
    def parked_records(self) -> int:
        """How many records wait until they can be downloaded, or for an earlier one of their asset."""
        return self._in_flight.waiting_count + self._fetches.parked_count

    def begin(self) -> None:
        """Begin all jobs but those that an earlier record of their asset excludes: fetch their files when possible.

        This never happens in the step that ends the earlier one: its segments must still be stored when they are
        announced, which is after that step.
        """
        for job in self._in_flight.begin():
            self._fetches.submit(job.name, job.upload.uri, job.upload.tenant)

    def drop_unfetched(self) -> list[Record]:
        """Drop the records that wait, and those whose files are being downloaded. Returns them."""
        unfetched = set(self._fetches.unfetched)
        dropped = self._in_flight.drop_if(lambda task, has_begun: not has_begun or task.name in unfetched)
        for name in unfetched:
            self._fetches.cancel(name)
        return [task.record for task, _ in dropped]
