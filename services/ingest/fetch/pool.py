"""Fetches files in threads, so that a slow disk or server delays no other upload."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

from services.contracts.errors import InvalidMessage
from services.ingest.fetch.interrupt import Interrupt
from services.ingest.fetch.local import fetch
from services.ingest.fetch.media import STAGE, FetchPolicy, Media
from services.runtime import metrics


@dataclass(frozen=True, slots=True)
class FetchFinished:
    """The end of a job: its file, or the reason why there is none."""

    job: str
    result: Media | InvalidMessage


class _Task(NamedTuple):
    future: Future[Media | InvalidMessage]
    interrupt: Interrupt


class FetchPool:
    """`submit` jobs, then `poll` for results, from one thread. `wake` is called whenever a fetch ends."""

    def __init__(self, policy: FetchPolicy, *, threads: int, wake: Callable[[], None] = lambda: None) -> None:
        self._policy = policy
        self._wake = wake
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="fetch")
        self._tasks: dict[str, _Task] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, job: str, uri: str) -> None:
        """Fetch when a thread is free. Raises ValueError while a job of that name is neither polled nor cancelled."""
        if job in self._tasks:
            raise ValueError(f"{job} is being fetched already")
        interrupt = Interrupt()
        future = self._executor.submit(_fetch, uri, self._policy, interrupt)
        self._tasks[job] = _Task(future, interrupt)
        future.add_done_callback(lambda _: self._wake())

    def poll(self) -> list[FetchFinished]:
        """Remove and return the fetches that have ended, in order of submission; never waits.

        Any exception of a fetch other than InvalidMessage (a defect, a fault of the local disk) is raised here.
        """
        ended = [job for job, task in self._tasks.items() if task.future.done()]
        return [FetchFinished(job, self._tasks.pop(job).future.result()) for job in ended]

    def cancel(self, job: str) -> None:
        """Abort a job and drop its result; does nothing for an unknown job."""
        if (task := self._tasks.pop(job, None)) is not None:
            task.future.cancel()
            task.interrupt.fire()
            task.future.add_done_callback(_discard)

    def close(self) -> None:
        """Cancel everything and wait for the threads; open connections are shut down, so they do not delay it."""
        for job in list(self._tasks):
            self.cancel(job)
        self._executor.shutdown()


def _fetch(uri: str, policy: FetchPolicy, interrupt: Interrupt) -> Media | InvalidMessage:
    with metrics.time_stage(STAGE):
        try:
            return fetch(uri, policy, interrupt)
        except InvalidMessage as error:
            return error


def _discard(future: Future[Media | InvalidMessage]) -> None:
    if not future.cancelled() and future.exception() is None and isinstance(media := future.result(), Media):
        media.file.close()
