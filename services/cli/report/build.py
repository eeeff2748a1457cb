"""`copydetect scan --report`: gathers the evidence that pairs share content, for one page."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from rich.progress import Progress

from services.cli.report.evidence import Side, choose_moments, compare_views
from services.cli.report.matrix import Matrix
from services.cli.report.page import Evidence, Scanned, render_page
from services.cli.report.pictures import Pictures, draw_matrix, read_pictures
from services.cli.results import FoundPair
from services.contracts.events import now
from services.contracts.segments import DescribedSegment
from services.ingest.decode.limits import decode_limits
from services.runtime.settings import Settings

SHOWN_MATCHES = 100  # the best, with pictures: 16 frames of 5 KB and a matrix of up to 75 KB each are 20 MB
KEPT_SIDES = 16  # a video is often in several pairs; a film of two hours takes 14 MB


def build_report(
    scanned: Scanned, described: Callable[[str], Sequence[DescribedSegment]], settings: Settings, progress: Progress
) -> list[str]:
    """The page, in pieces. `described` reads the stored segments of an asset, so the index must still be open."""
    shown = scanned.pairs[:SHOWN_MATCHES]
    step_s = scanned.bundle.descriptor.frame.sample_every_s
    evidence = _gather_evidence(shown, described, step_s, progress)
    return render_page(
        scanned, evidence, _read_pictures(shown, evidence, step_s, settings, progress), now().astimezone()
    )


def _gather_evidence(
    pairs: Sequence[FoundPair],
    described: Callable[[str], Sequence[DescribedSegment]],
    step_s: float,
    progress: Progress,
) -> list[Evidence]:
    @lru_cache(KEPT_SIDES)
    def side(asset_id: str) -> Side:
        return Side.of(described(asset_id))

    task = progress.add_task("drawing matrices", total=len(pairs), rate="")
    evidence = []
    for pair in pairs:
        query, reference = side(pair.alert.query.asset_id), side(pair.alert.reference.asset_id)
        matrix = Matrix(draw_matrix(compare_views(query, reference, step_s)), query.duration_s, reference.duration_s)
        evidence.append(Evidence(matrix, choose_moments(query, reference, pair.alert.intervals, step_s)))
        progress.advance(task)
    return evidence


def _read_pictures(
    pairs: Sequence[FoundPair],
    evidence: Sequence[Evidence],
    step_s: float,
    settings: Settings,
    progress: Progress,
) -> Mapping[str, Pictures]:
    """The frames of all moments, by path."""
    wanted: dict[str, set[float]] = defaultdict(set)
    for pair, shown in zip(pairs, evidence, strict=True):
        for moment in shown.moments:
            wanted[pair.query].add(moment.query_s)
            wanted[pair.reference].add(moment.reference_s)
    limits = decode_limits(settings)
    task = progress.add_task("reading frames", total=len(wanted), rate="")
    pictures = {}
    for path, found in read_pictures(wanted, every_s=step_s, limits=limits, workers=settings.decode_workers):
        pictures[path] = found
        progress.advance(task)
    return pictures
