"""The records in flight: those on which work has begun, and those that wait for an earlier one of their asset."""

from collections.abc import Callable
from typing import TypeAlias

from services.ingest.job import Job, Removal

Task: TypeAlias = Job | Removal


class InFlight:
    """Jobs and removals in the order of their records.

    A job waits until no earlier one is left that writes the same segments. A removal waits for all earlier jobs of its
    asset, and all later ones wait for it.
    """

    def __init__(self) -> None:
        self._begun: dict[str, Task] = {}  # by name
        self._assets: dict[str, list[Task]] = {}  # begun and waiting ones of each asset, in order
        # Assets with a task that may be able to begin: hundreds may wait, and most of them for one download.
        self._changed: dict[str, None] = {}

    def __len__(self) -> int:
        return sum(map(len, self._assets.values()))

    @property
    def waiting_count(self) -> int:
        """How many have not begun."""
        return len(self) - len(self._begun)

    @property
    def jobs(self) -> list[Job]:
        """The jobs that have begun."""
        return [task for task in self._begun.values() if isinstance(task, Job)]

    @property
    def removals(self) -> list[Removal]:
        """The removals that no longer wait."""
        return [task for task in self._begun.values() if isinstance(task, Removal)]

    def job(self, name: str) -> Job:
        """The job of this name that has begun."""
        job = self._begun[name]
        assert isinstance(job, Job)
        return job

    def add(self, task: Task) -> None:
        """Let a later record wait until `begin`."""
        self._assets.setdefault(task.key, []).append(task)
        self._changed[task.key] = None

    def add_again(self, job: Job) -> None:
        """Let a job that has ended wait once more, before all others: its record came before theirs."""
        self._assets.setdefault(job.key, []).insert(0, job)
        self._changed[job.key] = None

    def begin(self) -> list[Job]:
        """Begin all that need not wait. Returns the jobs among them."""
        changed, self._changed = self._changed, {}
        begun = []
        for key in changed:
            earlier: list[Task] = []
            for task in self._assets.get(key, []):
                if task.name not in self._begun and not any(_excludes(one, task) for one in earlier):
                    self._begun[task.name] = task
                    if isinstance(task, Job):
                        begun.append(task)
                earlier.append(task)
        return begun

    def end(self, task: Task) -> None:
        del self._begun[task.name]
        self._forget(task)

    def drop(self, partition: int) -> list[Job]:
        """Forget the records of this partition. Returns the jobs that had begun."""
        dropped = self.drop_if(lambda task, _: task.record.partition == partition)
        return [task for task, had_begun in dropped if had_begun and isinstance(task, Job)]

    def drop_if(self, condition: Callable[[Task, bool], bool]) -> list[tuple[Task, bool]]:
        """Forget the tasks for which `condition`, called with whether they have begun, holds.

        Returns them, and whether they had begun, those of one asset in order.
        """
        tasks = [(task, task.name in self._begun) for of_asset in self._assets.values() for task in of_asset]
        dropped = [(task, has_begun) for task, has_begun in tasks if condition(task, has_begun)]
        for task, _ in dropped:
            self._begun.pop(task.name, None)
            self._forget(task)
        return dropped

    def find_uploaded_s(self, job: Job) -> float:
        """When the first of the job's asset was uploaded, in seconds since the epoch: of all its segment files here."""
        if job.upload.is_whole_file:
            return job.upload.uploaded_at.timestamp()
        of_asset = [one for one in self._assets[job.key] if isinstance(one, Job) and not one.upload.is_whole_file]
        return min(of_asset, key=lambda one: one.generation).upload.uploaded_at.timestamp()

    def _forget(self, task: Task) -> None:
        self._assets[task.key].remove(task)
        if not self._assets[task.key]:
            del self._assets[task.key]
        self._changed[task.key] = None


def _excludes(earlier: Task, later: Task) -> bool:
    """Whether work on `later` must not begin before `earlier` has ended."""
    if isinstance(earlier, Job) and isinstance(later, Job):
        return later.has_same_segments_as(earlier)
    return earlier.key == later.key
