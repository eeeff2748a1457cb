"""One file to fetch, from its submission to its result, and the part of the work that is done in a thread."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

from services.contracts.errors import InvalidMessage
from services.ingest.fetch.budget import NoRoom, Reservation
from services.ingest.fetch.interrupt import Interrupt
from services.ingest.fetch.local import fetch
from services.ingest.fetch.media import STAGE, FetchPolicy, Media
from services.runtime import metrics

Result: TypeAlias = Media | InvalidMessage | NoRoom


@dataclass(slots=True, eq=False)
class FetchTask:
    """A file to fetch: parked until it `has_started`; then `future` is None only while it waits for `needs_bytes`.

    `host`: None for a local file.
    """

    uri: str
    host: str | None
    tenant: str
    reservation: Reservation
    interrupt: Interrupt = field(default_factory=Interrupt)
    has_started: bool = False
    deadline_share: float = 1.0
    future: Future[Result] | None = None
    needs_bytes: int = 0

    @property
    def is_done(self) -> bool:
        return self.future is not None and self.future.done()

    @property
    def waits_for_room(self) -> bool:
        return self.has_started and self.future is None

    @property
    def is_or_will_be_file(self) -> bool:
        """Whether it is fetched, or will be in no time."""
        return self.has_started and (self.host is None or self.is_done)


def run_fetch(uri: str, policy: FetchPolicy, interrupt: Interrupt, reservation: Reservation) -> Result:
    """Fetch a file; releases its bytes if there is none."""
    with metrics.time_stage(STAGE):
        try:
            return fetch(uri, policy, interrupt, reservation)
        except (InvalidMessage, NoRoom) as error:
            reservation.release()
            return error


def discard(future: Future[Result], reservation: Reservation) -> None:
    """Close the file of a cancelled task, which has ended, and release its bytes."""
    if not future.cancelled() and future.exception() is None and isinstance(media := future.result(), Media):
        media.close()
    reservation.release()
