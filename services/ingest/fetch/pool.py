"""Fetches files in threads, so that a slow disk or server delays no other upload.

A download for which there is no room, in the budget of bytes or on the disk, is abandoned and fetched again later.
Those that wait are served in the order of submission, and each gets its bytes before it starts. Whatever fits without
having waited can go before them, but it is finite, because no new work should be submitted unless `has_room`.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias

from services.contracts.errors import InvalidMessage
from services.ingest.fetch.budget import ByteBudget, NoRoom, Reservation
from services.ingest.fetch.disk import DiskFull, DiskWatch
from services.ingest.fetch.interrupt import Interrupt
from services.ingest.fetch.local import fetch
from services.ingest.fetch.media import STAGE, FetchPolicy, Media
from services.runtime import metrics
from services.runtime.probes import Health

Result: TypeAlias = Media | InvalidMessage | NoRoom


@dataclass(frozen=True, slots=True)
class FetchFinished:
    """The end of a job: its file, or the reason why there is none."""

    job: str
    result: Media | InvalidMessage


@dataclass(slots=True, eq=False)
class _Task:
    """A file to fetch: `future` is None while it waits for `needs_bytes`, and otherwise until it is polled."""

    uri: str
    reservation: Reservation
    interrupt: Interrupt = field(default_factory=Interrupt)
    future: Future[Result] | None = None
    needs_bytes: int = 0


class FetchPool:
    """`submit` jobs, then `poll` for results, from one thread. `wake` is called whenever a fetch ends.

    `budget`: of the temporary folder, where downloads are kept; a local file is opened in place and takes none of it.
    `health`: reports it while the disk is full.
    """

    def __init__(
        self,
        policy: FetchPolicy,
        *,
        threads: int,
        budget: ByteBudget,
        wake: Callable[[], None] = lambda: None,
        health: Health | None = None,
    ) -> None:
        self._policy = policy
        self._budget = budget
        self._wake = wake
        self._disk = DiskWatch(budget, health)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="fetch")
        self._tasks: dict[str, _Task] = {}  # in order of submission

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def has_room(self) -> bool:
        """Whether bytes are left in the budget, and no job waits for some."""
        return not (self._disk.is_full or self._waiting or self._budget.is_used_up)

    @property
    def reserved_bytes(self) -> int:
        """What downloads take, or may take, of the temporary folder: those in progress, and files still in use."""
        return self._budget.reserved_bytes

    def submit(self, job: str, uri: str) -> None:
        """Fetch when a thread is free. Raises ValueError while a job of that name is neither polled nor cancelled."""
        if job in self._tasks:
            raise ValueError(f"{job} is being fetched already")
        self._tasks[job] = _Task(uri, self._budget.open())
        self._start(self._tasks[job])

    def poll(self) -> list[FetchFinished]:
        """Remove and return the fetches that have ended, in order of submission; never waits.

        Starts those that have waited for room. Any exception of a fetch other than InvalidMessage and NoRoom (a defect,
        a disk that fails) is raised here, and again until its job is cancelled.
        """
        ended = []
        done = [
            (job, task, task.future.result())
            for job, task in self._tasks.items()
            if task.future is not None and task.future.done()
        ]
        for job, task, result in done:
            if isinstance(result, NoRoom):
                task.future, task.needs_bytes = None, result.needs_bytes
                if isinstance(result, DiskFull):
                    self._disk.note_failure(result)
                continue
            if isinstance(result, Media):
                self._disk.note_success()
            del self._tasks[job]
            ended.append(FetchFinished(job, result))
        self._resume()
        return ended

    def cancel(self, job: str) -> None:
        """Abort a job and drop its result; does nothing for an unknown job.

        Its bytes stay reserved until its thread has removed the file.
        """
        task = self._tasks.pop(job, None)
        if task is not None and task.future is not None:
            task.future.cancel()
            task.interrupt.fire()
            task.future.add_done_callback(lambda future: _discard(future, task.reservation))
        self._end_wait_for_disk()

    def close(self) -> None:
        """Cancel everything and wait for the threads; open connections are shut down, so they do not delay it."""
        for job in list(self._tasks):
            self.cancel(job)
        self._executor.shutdown()

    @property
    def _waiting(self) -> list[_Task]:
        return [task for task in self._tasks.values() if task.future is None]

    def _start(self, task: _Task) -> None:
        task.interrupt = Interrupt()
        task.future = self._executor.submit(_fetch, task.uri, self._policy, task.interrupt, task.reservation)
        task.future.add_done_callback(lambda _: self._wake())

    def _resume(self) -> None:
        """Start the jobs that waited and for which there is room now, first come, first served.

        While the disk is full only one at a time: several that write together could fill it again and again.
        """
        for task in self._waiting:
            is_alone = all(other.future is None for other in self._tasks.values())
            if self._disk.is_full and not (is_alone and self._disk.may_retry):
                break
            try:
                task.reservation.require(task.needs_bytes)
            except NoRoom:
                break
            self._start(task)
        self._end_wait_for_disk()

    def _end_wait_for_disk(self) -> None:
        if self._disk.is_full and not self._tasks:
            self._disk.clear()


def _fetch(uri: str, policy: FetchPolicy, interrupt: Interrupt, reservation: Reservation) -> Result:
    with metrics.time_stage(STAGE):
        try:
            return fetch(uri, policy, interrupt, reservation)
        except (InvalidMessage, NoRoom) as error:
            reservation.release()
            return error


def _discard(future: Future[Result], reservation: Reservation) -> None:
    if not future.cancelled() and future.exception() is None and isinstance(media := future.result(), Media):
        media.close()
    reservation.release()
