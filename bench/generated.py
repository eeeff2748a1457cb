"""How well edited copies are distinguished from look-alikes, on generated clips: it needs no data, anybody can run it.

    python -m bench.generated [--bundle NAME ...] [--json FILE] [--work FOLDER] [--originals N] [--edits NAME ...]

It generates twelve originals, for each three clips that look like it and one that does not, and edits the originals in
every way. The copies, and clips that copy nothing, are compared with the originals and with the look-alikes.
Pipelines and figures are those of bench.quality, with vPDQ beside them if it is installed. Clips and copies are made
once and kept: after Ctrl-C the same command goes on.
"""

from rich.progress import Progress

from bench.generated_clips import ORIGINALS, are_alike, cast_clips, clip_of, work_folder
from bench.quality import Judged, options, run
from services.cli.console import add_counter, console
from services.cli.errors import translating_errors
from tca_model.evaluation.benchmark import Benchmark, make_copies


def main() -> None:
    arguments = options("bench.generated", __doc__, originals=ORIGINALS).parse_args()

    def prepare(progress: Progress) -> Benchmark:
        with translating_errors():
            cast = cast_clips(arguments.work, arguments.originals)
            benchmark = cast.benchmark(work_folder(arguments.work), arguments.edits)
        make_copies(cast.clips, arguments.workers, add_counter(progress, "making clips"))
        return benchmark

    for judged in run(arguments, prepare):
        if judged.quality.threshold is not None:
            console.print(remark(judged), soft_wrap=True)


def remark(judged: Judged) -> str:
    """How many false alerts a bundle has, between how many pairs of clips, and how many for look-alikes."""
    pairs = [(clip_of(query), reference) for query, reference in judged.false_alerts]
    return (
        f"false alerts of {judged.name}: {len(pairs)}, between {len(set(pairs))} pairs of clips or their copies; "
        f"{sum(are_alike(*pair) for pair in pairs)} of them between look-alikes"
    )


if __name__ == "__main__":
    main()
