"""`copydetect compare`: explains one pair of videos."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import console, progress_bar
from services.cli.drawing import check_drawing, drawing
from services.cli.files import check_exists
from services.cli.results import JOINED_SCORE, PROBABILITY, Problem, intervals_text, score_name
from services.cli.scan import TENANT, describe_all
from services.cli.tables import print_problems
from services.contracts.events import AssetVerdict, DuplicateAlert, Role, SegmentUploaded, now
from services.runtime.rule import AlertRule
from services.runtime.settings import Settings, load_settings
from tca_model.bundle import Bundle, load_bundle
from tca_model.errors import NOTHING_SHOWN
from tca_model.matching.calibration import Calibration
from tca_model.types import VideoDescriptor

if TYPE_CHECKING:
    from services.embedded import Embedded

QUERY, REFERENCE = "query", "reference"  # asset ids: a file may be compared with itself


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """The alert on a pair of videos, and the descriptors of both."""

    alert: DuplicateAlert
    query: VideoDescriptor
    reference: VideoDescriptor

    def draw(self, path: Path, *, title: str) -> None:
        """Draw the similarity matrix and aligned intervals, as PNG. Raises CommandFailed if that cannot be written."""
        from tca_model.evaluation.plots import plot_similarity

        with drawing(path):
            plot_similarity(self.query, self.reference, self.alert.intervals, path, title=title)
        console.print(f"similarity matrix: {path}", soft_wrap=True)


def compare(
    query: Annotated[Path, typer.Argument(help="The video that may be a copy")],
    reference: Annotated[Path, typer.Argument(help="The video that may be copied")],
    plot: Annotated[Path | None, typer.Option(help="Draw the similarity matrix into this PNG file")] = None,
    bundle: Annotated[str | None, typer.Option(help="Model bundle: a shipped name or a folder")] = None,
) -> None:
    """Explain one pair of videos.

    Prints the probability of a copy, similarities in both directions and the aligned intervals, which are copied if the
    probability reaches the threshold.

    Exit code 0, copy or not; 1 if a file cannot be compared; 2 for wrong usage.
    """
    if plot is not None:
        check_drawing(plot)
    settings = load_settings()
    loaded = load_bundle(bundle or settings.bundle)
    paths = {QUERY: query, REFERENCE: reference}
    pair = compare_files(paths, loaded, settings)
    print_alert(
        pair.alert,
        paths,
        loaded.manifest.calibration,
        AlertRule.from_settings(settings).get_threshold("default", loaded.manifest.calibration),
    )
    if plot is not None:
        pair.draw(plot, title=f"{query.name} x {reference.name}")


def compare_files(paths: dict[str, Path], bundle: Bundle, settings: Settings) -> ComparedPair:
    """Compare QUERY with REFERENCE. If that is impossible, prints why and raises typer.Exit(1).

    Raises UsageError if a file is missing.
    """
    for path in paths.values():
        check_exists(path)
    from services.embedded import EVERY_PAIR, Embedded  # imports Milvus: --help must not wait for it

    roles = frozenset({Role.PROBE})
    with Embedded(bundle, settings) as embedded:
        uploads = [_upload(REFERENCE, paths[REFERENCE], Role.REFERENCE), _upload(QUERY, paths[QUERY], Role.PROBE)]
        embedded.publish(uploads)
        with progress_bar() as progress:
            events = describe_all(embedded, len(uploads), progress)
        events += embedded.match(threshold=EVERY_PAIR, exhaustive=True, searching_roles=roles)
        problems = [
            Problem(str(paths[event.asset_id]), event.reason or NOTHING_SHOWN)
            for event in events
            if isinstance(event, AssetVerdict) and event.verdict in ("failed", "undecidable")
        ]
        if problems:
            print_problems(problems)
            raise typer.Exit(1)
        sides = {asset_id: _descriptor(embedded, asset_id) for asset_id in paths}
    alert = [event for event in events if isinstance(event, DuplicateAlert)][-1]
    return ComparedPair(alert, sides[QUERY], sides[REFERENCE])


def print_alert(alert: DuplicateAlert, paths: dict[str, Path], calibration: Calibration, threshold: float) -> None:
    """Print what was found about a pair, and whether a scan would report it."""
    name = score_name(calibration)
    is_copy = alert.score >= threshold
    verdict, share, stretches = ("a copy", "covered", "copied") if is_copy else ("not a copy", "aligned", "aligned")
    joined = f"{JOINED_SCORE:13}{alert.joined_score:.3f}, before calibration"
    similarity = alert.similarity
    for line in (
        f"query        {paths[QUERY]}",
        f"reference    {paths[REFERENCE]}",
        f"{name:13}{alert.score:.3f}, threshold {threshold:.3f}: {verdict}",
        *([joined] if name == PROBABILITY else []),
        f"chamfer      query to reference {similarity.chamfer_query_to_reference:.3f}, "
        f"reference to query {similarity.chamfer_reference_to_query:.3f}",
        f"cosine       {similarity.segment_cosine:.3f} between the nearest segment descriptors",
        f"{share:13}{alert.query_coverage:.0%} of the query, {alert.reference_coverage:.0%} of the reference",
        f"{stretches:13}" + (intervals_text(alert.intervals).replace("\n", "\n             ") or "no interval aligns"),
    ):
        console.print(line, soft_wrap=True)


def _upload(asset_id: str, path: Path, role: Role) -> SegmentUploaded:
    return SegmentUploaded(asset_id=asset_id, tenant=TENANT, uri=str(path.absolute()), role=role, uploaded_at=now())


def _descriptor(embedded: "Embedded", asset_id: str) -> VideoDescriptor:
    return VideoDescriptor.concatenate([segment.descriptor for segment in embedded.read_segments(TENANT, asset_id)])
