"""What commands found, as tables for a terminal."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Column, Table

from services.cli.console import console
from services.cli.files import VideoFile
from services.cli.results import JOINED_SCORE, PROBABILITY, PairRow, Problem, intervals_text, readable

SHOWN_PAIRS = 100  # a terminal's worth; --output has them all


def print_results(
    rows: Sequence[PairRow],
    problems: Sequence[Problem],
    *,
    score_name: str = PROBABILITY,
    folder: str | None = None,
    to: Console = console,
) -> None:
    """Print the pairs, best first, and what was not compared. Paths are relative to `folder`, if there is one."""
    if rows:
        with_joined = score_name == PROBABILITY
        table = Table(
            Column("query\nreference", overflow="fold"),
            Column(f"{score_name}\n{JOINED_SCORE}" if with_joined else score_name, justify="right", no_wrap=True),
            Column("copied:\nquery = reference", no_wrap=True),
            title=_title("Copies", folder),
            box=box.HORIZONTALS,
            show_lines=True,
        )
        for row in rows[:SHOWN_PAIRS]:
            scores = [row.score, row.joined_score] if with_joined else [row.score]
            table.add_row(
                f"{shorten(row.query, folder)}\n{shorten(row.reference, folder)}",
                "\n".join(f"{score:.3f}" for score in scores if score is not None),
                intervals_text(row.intervals),
            )
        to.print(table)
        if len(rows) > SHOWN_PAIRS:
            to.print(f"and {len(rows) - SHOWN_PAIRS} more pairs: --output FILE writes them all")
    if problems:
        print_problems(problems, folder=folder, to=to)


def print_problems(problems: Sequence[Problem], *, folder: str | None = None, to: Console = console) -> None:
    """Print what was not compared, and why."""
    table = folding_table(_title("Not compared", folder), "file", "reason")
    for problem in problems:
        table.add_row(shorten(problem.path, folder), problem.reason, style="red" if problem.failed else None)
    to.print(table)


def folding_table(title: str, *headers: str) -> Table:
    """A table that folds what does not fit: a truncated path is useless."""
    return Table(*(Column(header, overflow="fold") for header in headers), title=title)


def common_folder(files: Iterable[VideoFile]) -> str | None:
    """The folder that all these files lie below, or None if that is no help: there are no files, or it is the root."""
    folders = {os.path.dirname(file.uri) for file in files}  # noqa: PTH120 - paths are text here
    common = os.path.commonpath(folders) if folders else os.sep
    return None if common == os.sep else common


def shorten(path: str, folder: str | None) -> str:
    """The path relative to the folder if it lies below it, else as it is."""
    absolute = Path(path).absolute()
    return str(absolute.relative_to(folder)) if folder and absolute.is_relative_to(folder) else path


def _title(title: str, folder: str | None) -> str:
    return f"{title}, below {readable(folder)}" if folder else title
