"""`copydetect model evaluate`: evaluates stored frame descriptors by a published protocol."""

import dataclasses
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from services.cli.console import add_counter, console, progress_bar
from services.cli.errors import translating_errors
from services.cli.model.convert_annotations import Benchmark
from services.contracts.errors import UsageError

if TYPE_CHECKING:
    from tca_model.evaluation.searches import Report


class SimilarityName(StrEnum):
    """The ways to compare two videos, by their names on the command line."""

    COSINE = "cosine"
    CHAMFER = "chamfer"
    SYMMETRIC = "symmetric-chamfer"
    LARGER = "larger-chamfer"


class Format(StrEnum):
    """How the report is printed."""

    TABLE = "table"
    JSON = "json"


def evaluate(
    protocol: Annotated[
        Benchmark, typer.Argument(help="Benchmark that sets the protocol; for FIVR-5K, fivr with its annotations")
    ],
    annotations: Annotated[Path, typer.Option(help="JSON written by `copydetect model convert-annotations`")],
    descriptors: Annotated[Path, typer.Option(help="Folder of frame descriptors: ID.npz for each video")],
    similarity: Annotated[SimilarityName, typer.Option(help="How two videos are compared")] = SimilarityName.CHAMFER,
    output: Annotated[Format, typer.Option(help="A table, or JSON that names every missing video")] = Format.TABLE,
) -> None:
    """Evaluate frame descriptors on a public benchmark.

    Missing videos are counted.
    """
    from tca_model.data.annotations import read_annotations
    from tca_model.data.cc_web_video import CcWebVideoAnnotations
    from tca_model.data.descriptor_files import DescriptorFolder
    from tca_model.data.evve import EvveAnnotations
    from tca_model.data.fivr import FivrAnnotations
    from tca_model.data.vcdb import VcdbAnnotations
    from tca_model.data.vsc2022 import Vsc2022Annotations
    from tca_model.evaluation import protocols
    from tca_model.evaluation.scoring import ScoreTable, score_table

    if not descriptors.is_dir():
        raise UsageError(f"there is no folder {descriptors}")
    stored = DescriptorFolder(descriptors)

    def table(queries: tuple[str, ...], database: tuple[str, ...]) -> ScoreTable:
        with progress_bar() as progress:
            return score_table(queries, database, stored, similarity.value, add_counter(progress, "comparing"))

    with translating_errors():
        match protocol:
            case Benchmark.FIVR:
                fivr = read_annotations(annotations, FivrAnnotations)
                report = protocols.evaluate_fivr(fivr, table(fivr.queries, fivr.database))
            case Benchmark.CC_WEB_VIDEO:
                cc_web = read_annotations(annotations, CcWebVideoAnnotations)
                report = protocols.evaluate_cc_web_video(cc_web, table(cc_web.queries, cc_web.database))
            case Benchmark.EVVE:
                evve = read_annotations(annotations, EvveAnnotations)
                report = protocols.evaluate_evve(evve, table(evve.queries, evve.database))
            case Benchmark.VCDB:
                vcdb = read_annotations(annotations, VcdbAnnotations)
                report = protocols.evaluate_vcdb(vcdb, table(vcdb.queries, vcdb.database))
            case Benchmark.VSC2022:
                vsc = read_annotations(annotations, Vsc2022Annotations)
                report = protocols.evaluate_vsc2022(vsc, table(vsc.queries, vsc.database))
    if output is Format.JSON:
        console.print_json(json.dumps({"similarity": similarity.value, **dataclasses.asdict(report)}))
    else:
        print_report(report, similarity)


def print_report(report: "Report", similarity: SimilarityName) -> None:
    """Print the figures of a report as a table, and what was missing."""
    is_whole = not report.missing_queries and not report.missing_videos
    figures = Table(
        Column(f"{report.benchmark}, {similarity.value}"),
        Column("average precision", justify="right"),
        *([] if is_whole else [Column("at least", justify="right")]),
        Column("queries", justify="right"),
    )
    for figure in report.figures:
        mean = "-" if figure.mean is None else f"{figure.mean:.4f}"
        lower = [] if is_whole else [f"{figure.at_least:.4f}"]
        figures.add_row(figure.name, mean, *lower, f"{figure.queries:,}")
    console.print(figures)
    if is_whole:
        console.print(f"all {report.queries:,} queries and {report.database:,} videos were compared", soft_wrap=True)
        return
    console.print(
        f"missing: {len(report.missing_queries):,} of {report.queries:,} queries, {len(report.missing_videos):,} of "
        f"{report.database:,} videos to search (expected results missing: {report.missing_relevant:,}); "
        f"{len(report.without_frames):,} of them are stored without a frame",
        soft_wrap=True,
    )
    console.print("`at least` counts what is missing as not found; --output json lists it", soft_wrap=True)
