"""`copydetect scan`: finds copies among video files without a server, by the services' own pipelines."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from services.cli.console import INTERRUPTED, console, error_console, progress_bar
from services.cli.decided import Decided
from services.cli.files import VideoFile, find_videos
from services.cli.output import is_standard_output, open_output
from services.cli.results import PairRow, Problem, Results, format_count, readable, score_name
from services.cli.tables import common_folder, print_results
from services.contracts.errors import UsageError
from services.contracts.events import (
    AssetEnded,
    AssetVerdict,
    DuplicateAlert,
    Event,
    Role,
    SegmentEncoded,
    SegmentUploaded,
    now,
)
from services.contracts.ports import DescriptorIndex
from services.runtime.rule import AlertRule
from services.runtime.settings import Settings, load_settings
from tca_model.bundle import load_bundle

if TYPE_CHECKING:
    from services.embedded import Embedded

TENANT = "default"
NOT_UTF8 = "its path is not UTF-8: rename it"


@dataclass(frozen=True, slots=True)
class Scan:
    """What to compare with what, and how; `references` None: everything with everything.

    `problems`: paths that cannot be compared. `write_report` is called with a page of HTML that shows what was found.
    """

    queries: Sequence[VideoFile]
    references: Sequence[VideoFile] | None
    settings: Settings
    db: Path | None = None
    every_pair: bool = False
    exhaustive: bool = False
    problems: Sequence[Problem] = ()
    write_report: Callable[[Iterable[str]], object] | None = None

    def run(self) -> tuple[list[PairRow], list[Problem]]:
        """Describe all files, then match the queries. Returns the pairs, best first, and what was not compared."""
        from services.embedded import EVERY_PAIR, Embedded  # imports Milvus: --help must not wait for it

        bundle = load_bundle(self.settings.bundle)
        threshold = (
            EVERY_PAIR
            if self.every_pair
            else AlertRule.from_settings(self.settings).get_threshold("default", bundle.manifest.calibration)
        )
        uploads = self._uploads()
        results = Results(self.queries, self.references)
        with Embedded(bundle, self.settings, db=self.db) as embedded, progress_bar() as progress:
            embedded.publish(uploads)
            describe_all(embedded, len(uploads), progress)
            decided = self._load_decided(embedded.index, bundle.model_version, threshold)
            for alert in decided.alerts:
                results.add(alert)
            events = embedded.match(
                threshold=threshold,
                exhaustive=self.exhaustive,
                searching_roles=self._searching_roles(),
                already_decided=frozenset((TENANT, asset_id) for asset_id in decided.asset_ids),
            )
            _match(events, len(uploads) - len(decided.asset_ids & {one.asset_id for one in uploads}), progress, results)
            decided.save({one.asset_id for one in uploads}, results.alerts)
            pairs = results.pairs(embedded.index, TENANT)
            problems = sorted([*self.problems, *results.problems], key=lambda problem: problem.path)
            if self.write_report is not None:
                from services.cli.report.build import build_report  # imports av
                from services.cli.report.page import Scanned

                scanned = Scanned(
                    pairs=pairs,
                    problems=problems,
                    files=len(uploads),
                    references=None if self.references is None else len(self.references),
                    threshold=None if self.every_pair else threshold,
                    bundle=bundle.manifest,
                    model_version=bundle.model_version,
                )
                self.write_report(
                    build_report(scanned, partial(embedded.read_segments, TENANT), self.settings, progress)
                )
            return [pair.row for pair in pairs], problems

    def _load_decided(self, index: DescriptorIndex, model_version: str, threshold: float) -> Decided:
        """The assets that need no search: only if all files search all others, and the index is kept."""
        if self.db is None or self.references is not None or self.every_pair:
            return Decided.nothing()
        settings = self.settings
        decided_by = [model_version, threshold, settings.evidence_share, settings.describe_panels, self.exhaustive]
        return Decided.load(self.db, index.read_rows(TENANT), decided_by)

    def _uploads(self) -> list[SegmentUploaded]:
        """References first. A file that is both query and reference is one asset: a reference that also searches."""
        references = {file.asset_id for file in self.references or ()}
        queries = [file for file in self.queries if file.asset_id not in references]
        role = Role.UPLOAD if self.references is None else Role.PROBE
        return [upload(file, Role.REFERENCE) for file in self.references or ()] + [
            upload(file, role) for file in queries
        ]

    def _searching_roles(self) -> frozenset[Role]:
        if self.references is None:
            return frozenset({Role.UPLOAD})
        both = {file.asset_id for file in self.queries} & {file.asset_id for file in self.references}
        return frozenset({Role.PROBE, Role.REFERENCE}) if both else frozenset({Role.PROBE})


def _terminal_beside(output: Path | None, report: Path | None) -> Console:
    """Where to print tables: standard output unless it gets results. Raises UsageError if it would get both."""
    if is_standard_output(output) and is_standard_output(report):
        raise UsageError("only one of --output and --report can be standard output")
    return error_console if is_standard_output(output) or is_standard_output(report) else console


def upload(file: VideoFile, role: Role) -> SegmentUploaded:
    """The event that makes ingest describe a local file."""
    return SegmentUploaded(asset_id=file.asset_id, tenant=TENANT, uri=file.uri, role=role, uploaded_at=now())


def describe_all(embedded: "Embedded", files: int, progress: Progress) -> list[Event]:
    """Describe what was published, with a progress bar. Returns the events about it."""
    task = progress.add_task("describing", total=files, rate="")
    media_s, started = 0.0, time.monotonic()
    events = []
    for event in embedded.describe():
        events.append(event)
        if isinstance(event, SegmentEncoded):
            media_s += event.end_s - event.start_s
            rate = media_s / max(time.monotonic() - started, 1e-9)
            progress.update(task, rate=f"{rate:.0f} s of video/s")
        elif isinstance(event, AssetEnded):
            progress.advance(task)
    return events


def _match(events: Iterable[Event], files: int, progress: Progress, results: Results) -> None:
    task = progress.add_task("matching", total=files, rate="")
    decided, started = set[str](), time.monotonic()
    for event in events:
        if isinstance(event, DuplicateAlert | AssetVerdict):
            results.add(event)
        if isinstance(event, AssetVerdict):
            decided.add(event.asset_id)  # a verdict may be revised
            rate = len(decided) / max(time.monotonic() - started, 1e-9)
            progress.update(task, completed=len(decided), rate=f"{rate:.0f} files/s")


def _find_usable(paths: Sequence[Path]) -> tuple[list[VideoFile], list[Problem]]:
    """The video files, and what is wrong with the others: events are UTF-8, the names of files need not be."""
    files, empty_folders = find_videos(paths)
    problems = [Problem(readable(folder), "no videos in this folder") for folder in empty_folders]
    problems += [Problem(readable(one.path), NOT_UTF8) for one in files if readable(one.uri) != one.uri]
    return [one for one in files if readable(one.uri) == one.uri], problems


def scan(  # one parameter per option
    queries: Annotated[list[Path], typer.Argument(help="Video files, and folders that are searched for them")],
    references: Annotated[
        list[Path] | None,
        typer.Option(help="Files and folders to find copies of; without it all files are compared with each other"),
    ] = None,
    db: Annotated[Path | None, typer.Option(help="Keep the index here: a later run describes only new files")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write one JSON object per pair to this file; - is standard output")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write an HTML page to this file with the evidence for each pair")
    ] = None,
    all_scores: Annotated[
        bool, typer.Option("--all-scores", help="Report every pair that was compared, whatever its score")
    ] = False,
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="Compare all pairs, without searching for candidates first")
    ] = False,
    bundle: Annotated[str | None, typer.Option(help="Model bundle: a shipped name or a folder")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Minimum probability of a copy at which a pair is reported")
    ] = None,
) -> None:
    """Find copies among video files.

    Prints the pairs that share content, with the copied intervals on both sides.

    Exit code 0; 1 if some file could not be used (a table says which, and why); 2 for wrong usage.
    """
    started = time.monotonic()
    settings = load_settings()
    chosen = {"bundle": bundle, "alert_threshold": threshold}
    settings = settings.model_copy(update={name: value for name, value in chosen.items() if value is not None})
    terminal = _terminal_beside(output, report)
    scores = score_name(load_bundle(settings.bundle).manifest.calibration)
    query_files, problems = _find_usable(queries)
    reference_files, reference_problems = _find_usable(references or [])
    with open_output(output, "--output") as write, open_output(report, "--report") as write_report:
        task = Scan(
            queries=query_files,
            references=reference_files if references else None,
            settings=settings,
            db=db,
            every_pair=all_scores,
            exhaustive=exhaustive,
            problems=problems + reference_problems,
            write_report=write_report if report else None,
        )
        try:
            rows, problems = task.run()
        except KeyboardInterrupt:
            kept = f"what was described is kept in {db}: run the same command to resume" if db else "nothing was kept"
            error_console.print(f"interrupted; {kept}", soft_wrap=True)
            raise typer.Exit(INTERRUPTED) from None
        write(row.to_json() + "\n" for row in rows)
    files = {file.asset_id: file for file in query_files + reference_files}
    print_results(rows, problems, score_name=scores, folder=common_folder(files.values()), to=terminal)
    terminal.print(
        f"{format_count(len(files), 'file')}, {format_count(len(rows), 'pair')}, {len(problems)} not compared, "
        f"{time.monotonic() - started:.1f} s",
    )
    raise typer.Exit(1 if any(problem.failed for problem in problems) else 0)
