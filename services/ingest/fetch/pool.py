"""Fetches media in threads, so that a slow disk or server keeps nobody from anything else."""

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
    """The end of a job: its media, or why there are none."""

    job: str
    result: Media | InvalidMessage


class _Task(NamedTuple):
    future: Future[Media | InvalidMessage]
    interrupt: Interrupt


class FetchPool:
    """`submit`, then `poll` for what is finished; one thread drives it. `wake` is called when a fetch has ended."""

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
        """Begin a fetch when a thread is free; the job's name is taken until it is polled or cancelled."""
        if job in self._tasks:
            raise ValueError(f"{job} is being fetched already")
        interrupt = Interrupt()
        future = self._executor.submit(_fetch, uri, self._policy, interrupt)
        self._tasks[job] = _Task(future, interrupt)
        future.add_done_callback(lambda _: self._wake())

    def poll(self) -> list[FetchFinished]:
        """The fetches that ended since the last call, in the order of their submission; never waits.

        A defect, or a fault of the own disk, that ended one is raised here.
        """
        ended = [job for job, task in self._tasks.items() if task.future.done()]
        return [FetchFinished(job, self._tasks.pop(job).future.result()) for job in ended]

    def cancel(self, job: str) -> None:
        """Forget a job, wherever it is; without effect on one that is not in work here."""
        if (task := self._tasks.pop(job, None)) is not None:
            task.future.cancel()
            task.interrupt.fire()
            task.future.add_done_callback(_discard)

    def close(self) -> None:
        """Cancel everything and wait for the threads, which a connection no longer holds up."""
        for job in list(self._tasks):
            self.cancel(job)
        self._executor.shutdown()


def _fetch(uri: str, policy: FetchPolicy, interrupt: Interrupt) -> Media | InvalidMessage:
    with metrics.stage(STAGE):
        try:
            return fetch(uri, policy, interrupt)
        except InvalidMessage as error:
            return error


def _discard(future: Future[Media | InvalidMessage]) -> None:
    if not future.cancelled() and future.exception() is None and isinstance(media := future.result(), Media):
        media.file.close()
