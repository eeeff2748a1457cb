"""What happens while the disk of the temporary folder is full: downloads wait, and are tried again one at a time."""

import errno
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from services.ingest.fetch.budget import ByteBudget, NoRoom, Reservation
from services.runtime.probes import Health

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FIRST_WAIT_S = 1.0  # doubled with each failure
LONGEST_WAIT_S = 30.0
HINDRANCE = "disk"  # its name in /readyz
ADVICE = (
    "free space in the temporary folder (TMPDIR), or give it more: what COPYDETECT_MAX_IN_FLIGHT_BYTES and one file of "
    "COPYDETECT_MAX_FILE_BYTES need, whichever is more"
)

log = structlog.get_logger(__name__)


class DiskFull(NoRoom):
    """There is no space for a download, whatever the budget says."""


@contextmanager
def report_full_disk(reservation: Reservation) -> Iterator[None]:
    """Raise DiskFull instead of the OSError of a full disk or an exceeded quota."""
    try:
        yield
    except OSError as error:
        # A process that starts when the disk is full finds no temporary folder: `tempfile` tries to write there.
        no_folder = isinstance(error, FileNotFoundError) and tempfile.tempdir is None
        if error.errno not in FULL and not no_folder:
            raise
        folder = tempfile.tempdir or "the temporary folder"
        raise DiskFull(reservation.size_bytes, f"nothing can be written to {folder}: {error.strerror}") from error


class DiskWatch:
    """Knows whether the disk is full, and when to try again: after a file is gone, or after some seconds.

    It is full from the first failure until `clear`. That is logged once, and /readyz reports it.
    """

    def __init__(self, budget: ByteBudget, health: Health | None) -> None:
        self._budget = budget
        self._health = health
        self._is_full = False
        self._failures = 0  # since the last success
        self._retry_at_s = 0.0
        self._releases = 0

    @property
    def is_full(self) -> bool:
        return self._is_full

    @property
    def may_retry(self) -> bool:
        return self._budget.releases != self._releases or time.monotonic() >= self._retry_at_s

    def note_failure(self, error: DiskFull) -> None:
        if not self._is_full:
            log.warning("waiting for disk space", reason=str(error), advice=ADVICE)
            if self._health is not None:
                self._health.mark_unready(HINDRANCE, f"{error}; {ADVICE}")
        self._is_full = True
        self._retry_at_s = time.monotonic() + min(FIRST_WAIT_S * 2**self._failures, LONGEST_WAIT_S)
        self._failures = min(self._failures + 1, 30)
        self._releases = self._budget.releases

    def note_success(self) -> None:
        """A download is complete, so the next may try at once."""
        self._failures = 0
        self._retry_at_s = 0.0

    def clear(self) -> None:
        """No download waits for the disk any more."""
        log.info("no download waits for disk space any more")
        if self._health is not None:
            self._health.clear(HINDRANCE)
        self._is_full = False
        self.note_success()
