"""Where the commands write: results to standard output, everything else to standard error."""

from collections.abc import Iterator, Sequence
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

# No markup: file names may hold brackets.
console = Console(markup=False, highlight=False)
error_console = Console(markup=False, highlight=False, stderr=True)


def progress_bar() -> Progress:
    """A progress bar with count, rate (the task's `rate` field) and time left."""
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


def track(items: Sequence[T], description: str) -> Iterator[T]:
    """The items, with a progress bar that moves on as they are done."""
    with progress_bar() as progress:
        task = progress.add_task(description, total=len(items), rate="")
        for item in items:
            yield item
            progress.advance(task)
