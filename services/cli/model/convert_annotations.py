"""`copydetect model convert-annotations`: converts the public annotations of benchmarks to plain JSON."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import console, error_console
from services.cli.errors import translating_errors
from services.contracts.errors import UsageError


class Benchmark(StrEnum):
    """The names of benchmarks on the command line."""

    FIVR = "fivr"
    CC_WEB_VIDEO = "cc-web-video"
    EVVE = "evve"
    VCDB = "vcdb"
    VSC2022 = "vsc2022"


def convert_annotations(
    benchmark: Annotated[Benchmark, typer.Argument(help="Benchmark that the file belongs to")],
    source: Annotated[Path, typer.Argument(help="The public file: a pickle, FIVR-200K's JSON, or VSC2022's CSV")],
    output: Annotated[Path, typer.Option(help="The JSON file to write")],
    database: Annotated[
        Path | None, typer.Option(help="Ids of the database, one per line: for FIVR's JSON and VSC2022")
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="Ids of the queries, one per line: for VSC2022")] = None,
    subset: Annotated[str, typer.Option(help="Subset of FIVR's pickle: 200k or 5k")] = "200k",
) -> None:
    """Convert the annotations of a benchmark to JSON.

    A pickle is read without running code in it.
    """
    from tca_model.data.annotations import Annotations, write_annotations
    from tca_model.data.cc_web_video import convert_cc_web_video
    from tca_model.data.evve import convert_evve
    from tca_model.data.fivr import convert_fivr
    from tca_model.data.vcdb import convert_vcdb
    from tca_model.data.vsc2022 import convert_vsc2022

    annotations: Annotations
    remarks: list[str] = []
    with translating_errors():
        match benchmark:
            case Benchmark.FIVR:
                annotations = convert_fivr(source, database, subset)
            case Benchmark.CC_WEB_VIDEO:
                annotations, remarks = convert_cc_web_video(source)
            case Benchmark.EVVE:
                annotations = convert_evve(source)
            case Benchmark.VCDB:
                annotations, remarks = convert_vcdb(source)
            case Benchmark.VSC2022:
                if queries is None or database is None:
                    raise UsageError("VSC2022's CSV only names copies: add --queries and --database, files of ids")
                annotations = convert_vsc2022(source, queries, database)
        write_annotations(output, annotations)
    for remark in remarks:
        error_console.print(f"note: {remark}", soft_wrap=True)
    console.print(
        f"wrote {output}: {len(annotations.queries):,} queries, {len(annotations.database):,} videos to search",
        soft_wrap=True,
    )
