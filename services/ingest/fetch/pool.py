"""Fetches files in threads, so that a slow disk or server delays no other upload.

A job is parked, and takes no thread, until it can start. A download needs a place (fetch.places) and waits while others
wait for room; a local file, which is opened in no time, only waits while too many files are fetched and not decoded.

A download for which there is no room, in the budget of bytes or on the disk, is abandoned and fetched again later; it
keeps its place. Those that wait are served in the order of submission, and each gets its bytes before it starts.
Whatever fits and began earlier can go before them, but it is finite.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Self

from services.contracts.errors import InvalidMessage
from services.ingest.fetch.budget import ByteBudget, NoRoom
from services.ingest.fetch.disk import DiskFull, DiskWatch
from services.ingest.fetch.interrupt import Interrupt
from services.ingest.fetch.media import STAGE, DeadlinePassed, FetchPolicy, Media
from services.ingest.fetch.places import FetchLimits, Places, find_host
from services.ingest.fetch.slow import MAX_IN_A_ROW, SlowHosts
from services.ingest.fetch.task import FetchTask, discard, run_fetch
from services.runtime.probes import Health


@dataclass(frozen=True, slots=True)
class FetchFinished:
    """The end of a job: its file, or the reason why there is none."""

    job: str
    result: Media | InvalidMessage


class FetchPool:
    """`submit` jobs, then `poll` for results, from one thread, which also closes the files.

    `budget`: of the temporary folder, where downloads are kept; a local file is opened in place and takes none of it.
    `wake`: called whenever a fetch ends. `health`: reports it while the disk is full.
    """

    def __init__(
        self,
        policy: FetchPolicy,
        *,
        limits: FetchLimits,
        budget: ByteBudget,
        wake: Callable[[], None] = lambda: None,
        health: Health | None = None,
    ) -> None:
        self._policy = policy
        self._limits = limits
        self._budget = budget
        self._wake = wake
        self._disk = DiskWatch(budget, health)
        self._places = Places(limits)
        self._slow = SlowHosts()
        self._downloads = ThreadPoolExecutor(limits.threads, thread_name_prefix="fetch")
        self._openings = ThreadPoolExecutor(limits.files, thread_name_prefix="open")
        self._tasks: dict[str, FetchTask] = {}  # in order of submission
        self._in_use: set[FetchTask] = set()  # whose files are handed out and not closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def has_room(self) -> bool:
        """Whether a file would be of use now: bytes are left, no job waits for some, and decoders are not behind."""
        return self._has_room_for_download and self._file_count < self._limits.files

    @property
    def parked_count(self) -> int:
        """How many jobs have not started."""
        return sum(not task.has_started for task in self._tasks.values())

    @property
    def unfetched(self) -> list[str]:
        """The jobs that have not started, and the downloads that have not ended."""
        return [job for job, task in self._tasks.items() if not task.is_or_will_be_file]

    @property
    def reserved_bytes(self) -> int:
        """What downloads take, or may take, of the temporary folder: those in progress, and files still in use."""
        return self._budget.reserved_bytes

    def submit(self, job: str, uri: str, tenant: str) -> None:
        """Fetch when it can start. Raises ValueError while a job of that name is neither polled nor cancelled."""
        if job in self._tasks:
            raise ValueError(f"{job} is being fetched already")
        self._tasks[job] = FetchTask(uri, find_host(uri), tenant, self._budget.open())
        self._start_parked()

    def poll(self) -> list[FetchFinished]:
        """Remove and return the fetches that have ended, in order of submission; never waits.

        A file beyond the limit stays until another is closed. Starts those that can start now. Any exception of a fetch
        other than InvalidMessage and NoRoom (a defect, a disk that fails) is raised here, and again until its job is
        cancelled.
        """
        done = [
            (job, task, task.future.result())
            for job, task in self._tasks.items()
            if task.future is not None and task.future.done()
        ]
        ended = []
        for job, task, result in done:
            if isinstance(result, NoRoom):
                task.future, task.needs_bytes = None, result.needs_bytes
                if isinstance(result, DiskFull):
                    self._disk.note_failure(result)
            elif isinstance(result, InvalidMessage) or len(self._in_use) < self._limits.files:
                self._remove(job)
                ended.append(FetchFinished(job, self._hand_out(task, result)))
        self._resume()
        self._start_parked()
        return ended

    def cancel(self, job: str) -> None:
        """Abort a job and drop its result; does nothing for an unknown job.

        Its bytes stay reserved until its thread has removed the file.
        """
        if job in self._tasks:
            task = self._remove(job)
            if task.future is not None:
                task.future.cancel()
                task.interrupt.fire()
                task.future.add_done_callback(lambda future: discard(future, task.reservation))
        self._end_wait_for_disk()

    def close(self) -> None:
        """Cancel everything and wait for the threads; open connections are shut down, so they do not delay it."""
        for job in list(self._tasks):
            self.cancel(job)
        self._downloads.shutdown()
        self._openings.shutdown()

    @property
    def _waiting(self) -> list[FetchTask]:
        return [task for task in self._tasks.values() if task.waits_for_room]

    @property
    def _has_room_for_download(self) -> bool:
        return not (self._disk.is_full or self._waiting or self._budget.is_used_up)

    @property
    def _file_count(self) -> int:
        return len(self._in_use) + sum(task.is_or_will_be_file for task in self._tasks.values())

    def _start_parked(self) -> None:
        """Start those that need not be parked any longer, first come, first served."""
        files = self._file_count
        may_download = self._has_room_for_download
        for task in [task for task in self._tasks.values() if not task.has_started]:
            if files >= self._limits.files:
                break
            if task.host is None:
                files += 1
            elif not (may_download and self._places.take(task.host, task.tenant)):
                continue
            else:
                task.deadline_share = self._slow.begin(task.host)
            self._start(task)

    def _start(self, task: FetchTask) -> None:
        policy = replace(self._policy, deadline_s=self._policy.deadline_s * task.deadline_share)
        executor = self._openings if task.host is None else self._downloads
        task.has_started = True
        task.interrupt = Interrupt()
        task.future = executor.submit(run_fetch, task.uri, policy, task.interrupt, task.reservation)
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
        if self._disk.is_full and not any(task.has_started for task in self._tasks.values()):
            self._disk.clear()

    def _remove(self, job: str) -> FetchTask:
        task = self._tasks.pop(job)
        if task.has_started and task.host is not None:
            self._places.leave(task.host, task.tenant)
        return task

    def _hand_out(self, task: FetchTask, result: Media | InvalidMessage) -> Media | InvalidMessage:
        """The result of a task for whoever submitted it; what it says of its host and of the disk is noted."""
        if isinstance(result, Media):
            self._disk.note_success()
            if task.host is not None:
                self._slow.note_success(task.host)
            self._in_use.add(task)
            return replace(result, on_close=partial(self._in_use.discard, task))
        if isinstance(result, DeadlinePassed) and task.host is not None:
            self._slow.note_late(task.host)
            if task.deadline_share < 1:
                why = (
                    f"{task.host} let {MAX_IN_A_ROW} files in a row run into COPYDETECT_FETCH_DEADLINE_S, and gets "
                    f"{task.deadline_share:.0%} of it until one arrives"
                )
                return InvalidMessage(f"{result.reason}; {why}", stage=STAGE)
        return result
