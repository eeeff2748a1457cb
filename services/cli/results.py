"""What a scan found: pairs with their paths, and files that could not be used; as JSON lines and as tables."""

import errno
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.table import Column, Table

from services.cli.console import console
from services.cli.files import VideoFile
from services.contracts.errors import UsageError
from services.contracts.events import AssetVerdict, CopiedInterval, DuplicateAlert
from services.contracts.ports import DescriptorIndex
from tca_model.types import Match

NOTHING_SHOWN = "it shows nothing (black, flat, a title card), or nothing moves in it"
SHOWN_PAIRS = 100  # a terminal's worth; --output has them all


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two files that share content, named as the user named them."""

    query: str
    reference: str
    score: float
    intervals: tuple[CopiedInterval, ...]

    def to_json(self) -> str:
        intervals = [interval.model_dump() for interval in self.intervals]
        return json.dumps(
            {"query": self.query, "reference": self.reference, "score": self.score, "intervals": intervals}
        )


@dataclass(frozen=True, slots=True)
class FoundPair:
    """An alert to be shown, and the paths of its two sides as the user wrote them."""

    query: str
    reference: str
    alert: DuplicateAlert

    @property
    def row(self) -> PairRow:
        return PairRow(self.query, self.reference, self.alert.score, self.alert.intervals)


@dataclass(frozen=True, slots=True)
class Problem:
    """A path that was not compared; `failed` when something is wrong with it, else it only shows nothing."""

    path: str
    reason: str
    failed: bool = True


class Results:
    """Collects alerts and verdicts of a run over these files."""

    def __init__(self, queries: Sequence[VideoFile], references: Sequence[VideoFile] | None) -> None:
        """`references` None: everything was compared with everything."""
        self._given = {file.asset_id: file.given for file in [*queries, *(references or ())]}
        self._queries = {file.asset_id for file in queries}
        self._references = None if references is None else {file.asset_id for file in references}
        self._alerts: dict[str, DuplicateAlert] = {}  # by alert_id
        self.problems: list[Problem] = []

    def add(self, event: DuplicateAlert | AssetVerdict) -> None:
        if isinstance(event, DuplicateAlert):
            self._alerts[event.alert_id] = event  # the highest revision comes last
        elif event.verdict in ("failed", "undecidable"):
            reason = event.reason or NOTHING_SHOWN
            self.problems.append(Problem(self._given[event.asset_id], reason, failed=event.verdict == "failed"))

    @property
    def alerts(self) -> list[DuplicateAlert]:
        """The last revision of every alert."""
        return list(self._alerts.values())

    def pairs(self, index: DescriptorIndex, tenant: str) -> list[FoundPair]:
        """One an unordered pair, best first; of two alerts about it, the one with the higher score."""
        best: dict[str, DuplicateAlert] = {}
        for alert in self._alerts.values():
            before = best.get(alert.pair_id)
            if self._is_wanted(alert) and (before is None or alert.score > before.score):
                best[alert.pair_id] = alert
        alerts = sorted(best.values(), key=lambda alert: -alert.score)
        sides = {side.asset_id for alert in alerts for side in (alert.query, alert.reference)}
        earlier = sides - self._given.keys()  # described by an earlier run on the same --db
        stored = {row.asset_id: row.uri for row in index.assets(tenant, earlier)} if earlier else {}
        there = {asset_id: uri for asset_id, uri in stored.items() if Path(uri).exists()}
        paths = there | self._given
        return [
            FoundPair(paths[alert.query.asset_id], paths[alert.reference.asset_id], alert)
            for alert in alerts
            if {alert.query.asset_id, alert.reference.asset_id} <= paths.keys()
        ]

    def _is_wanted(self, alert: DuplicateAlert) -> bool:
        if self._references is None:
            return not self._queries.isdisjoint((alert.query.asset_id, alert.reference.asset_id))
        return alert.query.asset_id in self._queries and alert.reference.asset_id in self._references


@contextmanager
def open_output(path: Path | None, option: str) -> Iterator[Callable[[Iterable[str]], object]]:
    """A function that writes pieces of text to `path`, proved writable first and replaced only when all is written.

    `path` None: to nowhere; `-`: to standard output. Raises UsageError, which names the option, when it cannot be
    written.
    """
    if path is None:
        yield lambda _: None
        return
    if str(path) == "-":
        yield sys.stdout.writelines
        return
    path = path.resolve()  # what a link points to is replaced, not the link
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise OSError(errno.EINVAL, "neither a regular file nor - (standard output)")
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with path.open("a"):  # proves that it can be written, and gives a new file the mode that others have
            pass
        mode = stat.S_IMODE(path.stat().st_mode)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
    except OSError as error:
        raise UsageError(f"cannot write {option} {path}: {error.strerror}") from error
    new = Path(beside)

    def write(pieces: Iterable[str]) -> None:
        try:
            with new.open("w", encoding="utf-8") as file:
                file.writelines(pieces)
            new.chmod(mode)
            new.replace(path)
        except OSError as error:
            raise UsageError(f"cannot write {option} {path}: {error.strerror}") from error

    try:
        yield write
    finally:
        new.unlink(missing_ok=True)


def print_results(rows: Sequence[PairRow], problems: Sequence[Problem]) -> None:
    """Show the pairs, best first, and what could not be compared."""
    if rows:
        table = folding_table("Copies", "query", "reference", "score", "copied (query = reference)")
        for row in rows[:SHOWN_PAIRS]:
            table.add_row(row.query, row.reference, f"{row.score:.3f}", intervals_text(row.intervals))
        console.print(table)
        if len(rows) > SHOWN_PAIRS:
            console.print(f"and {len(rows) - SHOWN_PAIRS} more pairs: --output FILE writes them all")
    if problems:
        print_problems(problems)


def print_problems(problems: Sequence[Problem]) -> None:
    """Show what could not be compared, and why."""
    table = folding_table("Not compared", "file", "reason")
    for problem in problems:
        table.add_row(problem.path, problem.reason, style="red" if problem.failed else None)
    console.print(table)


def folding_table(title: str, *headers: str) -> Table:
    """A table that folds what does not fit: a shortened path is no path."""
    return Table(*(Column(header, overflow="fold") for header in headers), title=title)


def intervals_text(intervals: Sequence[CopiedInterval | Match]) -> str:
    """Intervals for people, one a line: where in the query, and where in the reference."""
    return "\n".join(
        f"{clock(i.query_start_s)}-{clock(i.query_end_s)} = {clock(i.reference_start_s)}-{clock(i.reference_end_s)}"
        for i in intervals
    )


def readable(path: str) -> str:
    """The path as text that any terminal or page takes: bytes of a name that are no UTF-8 as \\xff."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def clock(seconds: float) -> str:
    """Minutes and whole seconds, with hours where there are any: frames are a second apart."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
