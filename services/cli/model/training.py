"""What the training commands share: how they end, and what their bundles say of where they come from."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from services.cli.console import INTERRUPTED, error_console
from services.cli.errors import translating_errors

RECENT_STEPS = 50  # enough for a mean loss that does not jump


@contextmanager
def resumable(work: Path) -> Iterator[None]:
    """Around a training: translates errors, and says after Ctrl-C how to resume."""
    try:
        with translating_errors():
            yield
    except KeyboardInterrupt:
        error_console.print(
            f"interrupted; run the same command to resume from the latest checkpoint in {work}", soft_wrap=True
        )
        raise typer.Exit(INTERRUPTED) from None


def command_line() -> str:
    """The command as the user typed it, for the provenance of a bundle."""
    return " ".join(["copydetect", *sys.argv[1:]])


def mean(losses: Sequence[float]) -> float:
    """The mean of some losses."""
    return sum(losses) / len(losses)
