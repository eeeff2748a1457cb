"""`copydetect scan`: finds copies among video files, with no server; the services' own pipelines do the work."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from services.cli.console import INTERRUPTED, console, error_console, progress_bar
from services.cli.files import VideoFile, find_videos
from services.cli.results import PairRow, Problem, Results, open_output, print_results, readable
from services.cli.settled import Settled
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
from services.matcher.rule import alert_threshold
from services.runtime.settings import Settings, load_settings
from tca_model.bundle import load_bundle

if TYPE_CHECKING:
    from services.embedded import Embedded

TENANT = "default"
NO_UTF8 = "its path is not UTF-8: rename it"


@dataclass(frozen=True, slots=True)
class Scan:
    """What to compare with what, and how; `references` None: everything with everything.

    `problems`: what is known not to be compared. `write_report` gets a page of HTML that shows what was found.
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
        """Describe all files, then match the queries: pairs best first, and the files that were not compared."""
        from services.embedded import EVERY_PAIR, Embedded  # brings Milvus along, seconds that --help must not wait

        bundle = load_bundle(self.settings.bundle)
        threshold = EVERY_PAIR if self.every_pair else alert_threshold(self.settings, bundle.manifest.calibration)
        uploads = self._uploads()
        results = Results(self.queries, self.references)
        with Embedded(bundle, self.settings, db=self.db) as embedded, progress_bar() as progress:
            embedded.publish(uploads)
            describe_all(embedded, len(uploads), progress)
            settled = self._settled(embedded.index, bundle.model_version, threshold)
            for alert in settled.alerts:
                results.add(alert)
            events = embedded.match(
                threshold=threshold,
                exhaustive=self.exhaustive,
                searching_roles=self._finders(),
                already_decided=frozenset((TENANT, asset_id) for asset_id in settled.asset_ids),
            )
            _match(events, len(uploads) - len(settled.asset_ids & {one.asset_id for one in uploads}), progress, results)
            settled.save({one.asset_id for one in uploads}, results.alerts)
            pairs = results.pairs(embedded.index, TENANT)
            problems = [*self.problems, *results.problems]
            if self.write_report is not None:
                from services.cli.report.build import report  # brings av along
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
                self.write_report(report(scanned, partial(embedded.read_segments, TENANT), self.settings, progress))
            return [pair.row for pair in pairs], problems

    def _settled(self, index: DescriptorIndex, model_version: str, threshold: float) -> Settled:
        """What need not be searched again: only where everything searches for everything, and the index lasts."""
        if self.db is None or self.references is not None or self.every_pair:
            return Settled.nothing()
        decided_by = [model_version, threshold, self.settings.evidence_share, self.exhaustive]
        return Settled.load(self.db, index.assets(TENANT), decided_by)

    def _uploads(self) -> list[SegmentUploaded]:
        """References first; a file that is both query and reference is one asset, a reference that searches."""
        references = {file.asset_id for file in self.references or ()}
        queries = [file for file in self.queries if file.asset_id not in references]
        role = Role.UPLOAD if self.references is None else Role.PROBE
        return [upload(file, Role.REFERENCE) for file in self.references or ()] + [
            upload(file, role) for file in queries
        ]

    def _finders(self) -> frozenset[Role]:
        if self.references is None:
            return frozenset({Role.UPLOAD})
        both = {file.asset_id for file in self.queries} & {file.asset_id for file in self.references}
        return frozenset({Role.PROBE, Role.REFERENCE}) if both else frozenset({Role.PROBE})


def upload(file: VideoFile, role: Role) -> SegmentUploaded:
    """The event that has a local file described."""
    return SegmentUploaded(asset_id=file.asset_id, tenant=TENANT, uri=file.uri, role=role, uploaded_at=now())


def describe_all(embedded: "Embedded", files: int, progress: Progress) -> list[Event]:
    """Describe what was published, with a progress bar; the events that say what became of it."""
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
    done, started = 0, time.monotonic()
    for event in events:
        if isinstance(event, DuplicateAlert | AssetVerdict):
            results.add(event)
        if isinstance(event, AssetVerdict):
            done += 1
            rate = done / max(time.monotonic() - started, 1e-9)
            progress.update(task, completed=done, rate=f"{rate:.0f} files/s")


def _usable(paths: Sequence[Path]) -> tuple[list[VideoFile], list[Problem]]:
    """The video files there, and what is wrong with the others: an event's text is UTF-8, a file's name need not be."""
    files, barren = find_videos(paths)
    problems = [Problem(readable(folder), "no videos in this folder") for folder in barren]
    problems += [Problem(readable(one.given), NO_UTF8) for one in files if readable(one.uri) != one.uri]
    return [one for one in files if readable(one.uri) == one.uri], problems


def scan(
    queries: Annotated[list[Path], typer.Argument(help="Video files, and folders that are searched for them")],
    references: Annotated[
        list[Path] | None,
        typer.Option(help="Files and folders to look for copies of; without it everything is compared with everything"),
    ] = None,
    db: Annotated[Path | None, typer.Option(help="Keep the index here; a later run describes only what is new")] = None,
    output: Annotated[Path | None, typer.Option(help="Write one JSON object a pair to this file")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page of HTML to this file that shows the evidence for each pair")
    ] = None,
    all_scores: Annotated[
        bool, typer.Option("--all-scores", help="Report every pair that was compared, best first, threshold off")
    ] = False,
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="Compare every pair, without the candidate stage")
    ] = False,
    bundle: Annotated[str | None, typer.Option(help="Model bundle: a shipped name or a folder")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Probability of a copy from which a pair is reported")
    ] = None,
) -> None:
    """Find near-duplicates among video files, with the copied intervals on both sides.

    Exit code 0; 1 when some file could not be used (a table says which and why); 2 for wrong usage.
    """
    started = time.monotonic()
    settings = load_settings()
    chosen = {"bundle": bundle, "alert_threshold": threshold}
    settings = settings.model_copy(update={name: value for name, value in chosen.items() if value is not None})
    query_files, problems = _usable(queries)
    reference_files, reference_problems = _usable(references or [])
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
            kept = f"what was described is kept in {db}: run the same command to go on" if db else "nothing was kept"
            error_console.print(f"interrupted; {kept}")
            raise typer.Exit(INTERRUPTED) from None
        write(row.to_json() + "\n" for row in rows)
    print_results(rows, problems)
    files = len({file.asset_id for file in query_files + reference_files})
    console.print(
        f"{files} files, {len(rows)} pairs, {len(problems)} not compared, {time.monotonic() - started:.1f} s",
    )
    raise typer.Exit(1 if any(problem.failed for problem in problems) else 0)
