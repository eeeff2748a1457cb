"""The records in flight: those on which work has begun, and those that wait for an earlier one of their asset."""

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
        self._waiting: list[Task] = []

    def __len__(self) -> int:
        return len(self._begun) + len(self._waiting)

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
        self._waiting.append(task)

    def add_again(self, job: Job) -> None:
        """Let a job that has ended wait once more, before all others: its record came before theirs."""
        self._waiting.insert(0, job)

    def begin(self) -> list[Job]:
        """Begin all that need not wait. Returns the jobs among them."""
        waiting, self._waiting = self._waiting, []
        begun = []
        for task in waiting:
            if any(_excludes(earlier, task) for earlier in (*self._begun.values(), *self._waiting)):
                self._waiting.append(task)
                continue
            self._begun[task.name] = task
            if isinstance(task, Job):
                begun.append(task)
        return begun

    def end(self, task: Task) -> None:
        del self._begun[task.name]

    def drop(self, partition: int) -> list[Job]:
        """Forget the records of this partition. Returns the jobs that had begun."""
        dropped = [task for task in self._begun.values() if task.record.partition == partition]
        for task in dropped:
            self.end(task)
        self._waiting = [task for task in self._waiting if task.record.partition != partition]
        return [task for task in dropped if isinstance(task, Job)]

    def find_uploaded_s(self, job: Job) -> float:
        """When the first of the job's asset was uploaded, in seconds since the epoch: of all its segment files here."""
        of_asset = [
            task
            for task in (*self._begun.values(), *self._waiting)
            if isinstance(task, Job) and task.key == job.key and not task.upload.is_whole_file
        ]
        first = job if job.upload.is_whole_file else min(of_asset, key=lambda one: one.generation)
        return first.upload.uploaded_at.timestamp()


def _excludes(earlier: Task, later: Task) -> bool:
    """Whether work on `later` must not begin before `earlier` has ended."""
    if isinstance(earlier, Job) and isinstance(later, Job):
        return later.has_same_segments_as(earlier)
    return earlier.key == later.key
