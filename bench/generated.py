"""How well edited copies are distinguished from look-alikes, on generated clips: it needs no data, anybody can run it.

    python -m bench.generated [--bundle NAME ...] [--json FILE] [--work FOLDER] [--originals N] [--edits NAME ...]

It generates twelve originals, for each three clips that look like it and one that does not, and edits the originals in
every way. The copies, and clips that copy nothing, are compared with the originals and with the look-alikes.
Pipelines and figures are those of bench.quality, with vPDQ beside them if it is installed. Clips and copies are made
once and kept: after Ctrl-C the same command goes on.
"""

from rich.progress import Progress

from bench.generated_clips import ORIGINALS, cast_clips, work_folder
from bench.quality import options, run
from services.cli.console import add_counter
from tca_model.evaluation.benchmark import Benchmark, make_copies


def main() -> None:
    arguments = options("bench.generated", __doc__, originals=ORIGINALS).parse_args()

    def prepare(progress: Progress) -> Benchmark:
        cast = cast_clips(arguments.work, arguments.originals)
        benchmark = cast.benchmark(work_folder(arguments.work), arguments.edits)
        make_copies(cast.clips, arguments.workers, add_counter(progress, "making clips"))
        return benchmark

    run(arguments, prepare)


if __name__ == "__main__":
    main()
