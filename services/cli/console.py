"""The terminal: results go to standard output, progress and errors to standard error."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")

INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended

# No markup: file names may contain brackets. No emoji: `a:b:c` is not to be printed with a picture.
console = Console(markup=False, emoji=False, highlight=False)
error_console = Console(markup=False, emoji=False, highlight=False, stderr=True)


def progress_bar() -> Progress:
    """A progress bar with count, rate (the task's field `rate`) and time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=error_console,
        transient=False,
    )


def add_counter(progress: Progress, description: str) -> Callable[[int, int], None]:
    """A new task, as a function that is called with how many are done, and how many there are."""
    task = progress.add_task(description, rate="", total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)


def add_loss(progress: Progress, description: str) -> Callable[[int, int, float], None]:
    """A new task that trains, as a function that is called with steps done, steps in all and the loss."""
    task = progress.add_task(description, rate="", total=None)
    return lambda done, total, loss: progress.update(task, completed=done, total=total, rate=f"loss {loss:.3f}")


def track(items: Sequence[T], description: str) -> Iterator[T]:
    """Yield the items, with a progress bar that advances as they are done."""
    with progress_bar() as progress:
        task = progress.add_task(description, total=len(items), rate="")
        for item in items:
            yield item
            progress.advance(task)
