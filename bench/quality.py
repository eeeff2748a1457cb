"""How well edited copies are distinguished from other works, per bundle; with vPDQ for comparison if it is installed.

    python -m bench.quality [--bundle NAME ...] [--json FILE] [--work FOLDER] [--originals N] [--edits NAME ...]

The benchmark is that of tca_model.evaluation.benchmark, over ../shared/data/videos/dev. A bundle's scores come from the
pipelines that `copydetect scan` runs, every query compared with every reference.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.progress import Progress
from rich.table import Column, Table

from bench import vpdq
from bench.ending import ending_with_reason
from services.cli.console import add_counter, console, error_console, progress_bar
from services.cli.errors import translating_errors
from services.cli.files import VideoFile
from services.cli.results import PairRow
from services.cli.scan import Scan
from services.cli.tables import print_problems
from services.contracts.errors import UsageError
from services.runtime import log
from services.runtime.rule import AlertRule
from services.runtime.settings import Settings, load_settings
from tca_model.bundle import DEFAULT, load_bundle
from tca_model.data.held_out import ORIGINALS
from tca_model.evaluation.benchmark import Benchmark, Pair, make_copies, plan
from tca_model.evaluation.quality import PRECISION, Quality, ScoredPair, judge
from tca_model.synthetic.edits import EDITS
from tca_model.types import Match

DEV = Path(__file__).parents[2] / "shared/data/videos/dev"
WORK = Path(__file__).parents[1] / ".bench"


@dataclass(frozen=True, slots=True)
class Scored:
    """What `copydetect model calibrate` fits on: a pair's score before calibration, and the family of its query."""

    family: str
    is_copy: bool
    score: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A method and its figures."""

    name: str
    version: str
    quality: Quality
    scored: tuple[Scored, ...] = ()
    false_alerts: tuple[tuple[str, str], ...] = ()  # names of query and reference


def main() -> None:
    parser = options("bench.quality", __doc__, originals=len(ORIGINALS))
    parser.add_argument("--videos", type=Path, default=DEV, help="the clips, with a manifest of their families")
    arguments = parser.parse_args()

    def prepare(_: Progress) -> Benchmark:
        with translating_errors():
            return plan(arguments.videos, arguments.work, names=arguments.edits, originals=arguments.originals)

    run(arguments, prepare)


def options(module: str, text: str, originals: int) -> argparse.ArgumentParser:
    """The options of the quality bench in a module with this docstring, which is shown without its line of usage."""
    shown = [paragraph for paragraph in text.split("\n\n") if not paragraph.startswith(" ")]
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description="\n\n".join(shown),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", nargs="+", default=[DEFAULT], help=f"shipped names or folders ({DEFAULT})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    kept = "what is made is kept here (.bench in the repository)"
    parser.add_argument("--work", type=Path, default=WORK, metavar="FOLDER", help=kept)
    fewer = f"fewer than {originals}, for a quick look"
    parser.add_argument("--originals", type=int, default=originals, metavar="N", help=fewer)
    some = f"some of {', '.join(EDITS)}, for a quick look"
    parser.add_argument("--edits", nargs="+", default=list(EDITS), metavar="NAME", help=some)
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that make copies (2)")
    parser.add_argument("--without-vpdq", action="store_true", help="skip vPDQ where it is installed")
    return parser


def run(arguments: argparse.Namespace, prepare: Callable[[Progress], Benchmark]) -> list[Judged]:
    """Judge the bundles of these `options` on what `prepare` returns; print, write and return the figures.

    Ends the process with a reason if that cannot be done.
    """
    log.configure_for_commands()
    with ending_with_reason(arguments.work):
        judged = judge_all(arguments, prepare)
        console.print(table(judged))
        for line in remarks(judged):
            console.print(line, soft_wrap=True)
        if arguments.json:
            arguments.json.write_text(json.dumps([asdict(one) for one in judged], indent=2) + "\n")
    return judged


def judge_all(arguments: argparse.Namespace, prepare: Callable[[Progress], Benchmark]) -> list[Judged]:
    """The figures of all bundles and of vPDQ. Raises what `run` reports, early where the options are at fault."""
    if arguments.workers < 1:
        raise UsageError(f"--workers must be 1 or more, got {arguments.workers}")
    settings = [load_settings().model_copy(update={"bundle": name}) for name in arguments.bundle]
    for each in settings:
        load_bundle(each.bundle)
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        if arguments.json.is_dir():
            raise UsageError(f"--json {arguments.json} is a folder, not a file")
    with progress_bar() as progress:
        benchmark = prepare(progress)
        make_copies(benchmark.copies, arguments.workers, add_counter(progress, "editing"))
    judged = [judge_bundle(benchmark, each) for each in settings]
    if not arguments.without_vpdq:
        judged += judge_vpdq(benchmark, arguments.workers)
    return judged


def judge_bundle(benchmark: Benchmark, settings: Settings) -> Judged:
    """The figures of a bundle by the pipelines of `scan`; files that could not be compared are shown and count."""
    bundle = load_bundle(settings.bundle)
    queries = [VideoFile(str(path)) for path in benchmark.queries]
    references = [VideoFile(str(reference.path)) for reference in benchmark.references]
    error_console.print(f"{bundle.manifest.name}, model version {bundle.model_version}")
    rows, problems = Scan(queries, references, settings, every_pair=True, exhaustive=True).run()
    if problems:
        print_problems(problems)
    found = {(row.query, row.reference): row for row in rows}
    pairs = list(benchmark.pairs())
    judged = [score_pair(pair, found) for pair in pairs]
    families = {clip.path: clip.family for clip in benchmark.distractors}
    families |= {copy.path: copy.original.family for copy in benchmark.copies}
    raw = bundle.manifest.calibration.joined_score
    threshold = AlertRule.from_settings(settings).get_threshold("default", bundle.manifest.calibration)
    return Judged(
        bundle.manifest.name,
        bundle.model_version,
        judge(judged, threshold),
        tuple(
            Scored(families[pair.query], one.is_copy, raw(one.score))
            for pair, one in zip(pairs, judged, strict=True)
            if one.score is not None
        ),
        tuple(
            (pair.query.stem, pair.reference.stem)
            for pair, one in zip(pairs, judged, strict=True)
            if not one.is_copy and one.score is not None and one.score >= threshold
        ),
    )


def score_pair(pair: Pair, found: Mapping[tuple[str, str], PairRow]) -> ScoredPair:
    """The pair with what a scan found of it. Raises UsageError if the file with the truth is missing or damaged."""
    row = found.get((str(pair.query), str(pair.reference)))
    edit = pair.copy.edit if pair.copy else ""
    with translating_errors():
        true = pair.copy.truth().matches if pair.is_copy and pair.copy else ()
    if row is None:
        return ScoredPair(pair.is_copy, None, edit, (), true)
    intervals = [
        Match(i.query_start_s, i.query_end_s, i.reference_start_s, i.reference_end_s, i.score) for i in row.intervals
    ]
    return ScoredPair(pair.is_copy, row.score, edit, intervals, true)


def judge_vpdq(benchmark: Benchmark, workers: int) -> list[Judged]:
    """The figures of vPDQ over the same pairs, which finds no intervals and has no alert threshold; [] without it."""
    try:
        version = vpdq.installed_version()
    except vpdq.Missing as reason:
        error_console.print(f"without vPDQ: {reason}", soft_wrap=True)
        return []
    with progress_bar() as progress:
        videos = [*benchmark.queries, *(reference.path for reference in benchmark.references)]
        hashes = vpdq.describe(videos, workers, add_counter(progress, "vPDQ"))
    pairs = [
        ScoredPair(
            pair.is_copy, vpdq.score(hashes[pair.query], hashes[pair.reference]), pair.copy.edit if pair.copy else ""
        )
        for pair in benchmark.pairs()
    ]
    return [Judged("vPDQ", version, judge(pairs))]


def table(judged: Sequence[Judged]) -> Table:
    """A column for each of them."""
    shown = Table(Column(""), *(Column(one.name, justify="right") for one in judged))
    qualities = [one.quality for one in judged]
    rows: dict[str, Sequence[float | int | None]] = {
        "micro-AP": [quality.micro_ap for quality in qualities],
        f"recall at {PRECISION:.0%} precision": [quality.recall for quality in qualities],
        "  from this score": [quality.score for quality in qualities],
        "recall before the first false positive": [quality.recall_before_false_positive for quality in qualities],
        "  highest score of a wrong pair": [quality.highest_other for quality in qualities],
        "interval IoU": [quality.iou for quality in qualities],
        "alert threshold": [quality.threshold for quality in qualities],
        "  recall there": [quality.recall_at_threshold for quality in qualities],
        "  false alerts there": [quality.false_alerts for quality in qualities],
        "  precision of their intervals (VCSL)": [
            one.intervals.precision if one.intervals else None for one in qualities
        ],
        "  recall of intervals (VCSL)": [one.intervals.recall if one.intervals else None for one in qualities],
        "pairs without a score": [quality.missing for quality in qualities],
        "  of them copies": [quality.missing_copies for quality in qualities],
    }
    for name, values in rows.items():
        shown.add_row(name, *map(_figure, values))
    shown.add_section()
    shown.add_row(f"recall at {PRECISION:.0%} precision, interval IoU:")
    for edit in qualities[0].edits:
        shown.add_row(f"  {edit}", *(_of_edit(quality, edit) for quality in qualities))
    return shown


def remarks(judged: Sequence[Judged]) -> list[str]:
    """What was compared, and which edits vPDQ finds better than a bundle."""
    quality = judged[0].quality
    lines = [f"{quality.pairs} pairs, {quality.copies} of them copies, by {len(quality.edits)} edits"]
    for rival in (one for one in judged if one.name == "vPDQ"):
        for own in (one for one in judged if one is not rival):
            worse = [e for e, figures in own.quality.edits.items() if figures.recall < rival.quality.edits[e].recall]
            lines.append(f"edits that vPDQ finds more of than {own.name}: {', '.join(worse) or 'none'}")
    return lines


def _figure(value: float | int | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _of_edit(quality: Quality, edit: str) -> str:
    figures = quality.edits[edit]
    return f"{figures.recall:.2f}" + ("" if figures.iou is None else f"  {figures.iou:.2f}")


if __name__ == "__main__":
    main()
