"""Two methods of alignment on the same similarity matrices: how well they find and locate copies, and what they cost.

    python -m bench.alignment [--bundle NAME] [--originals N] [--edits NAME ...]

The benchmark is that of bench.quality, from frame descriptors: described once, kept, and scored by either method.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.quality import DEV, WORK, Judged, table
from services.cli.console import console, progress_bar
from tca_model.api import Describer
from tca_model.bundle import DEFAULT, load_bundle
from tca_model.evaluation.benchmark import Benchmark, make_copies, plan
from tca_model.evaluation.described import describe_benchmark, descriptor_folder, read_videos
from tca_model.evaluation.quality import ScoredPair, judge
from tca_model.matching.alignment import align
from tca_model.matching.evidence import join, observe
from tca_model.matching.hough import align_by_hough
from tca_model.matching.intervals import Aligner
from tca_model.matching.similarity import similarity_matrix
from tca_model.synthetic.edits import EDITS
from tca_model.types import VideoDescriptor

METHODS: Mapping[str, Aligner] = {"dynamic programming": align, "Hough voting": align_by_hough}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default=DEFAULT, help="a shipped name or a folder")
    parser.add_argument("--videos", type=Path, default=DEV, help="the clips, with a manifest of their families")
    parser.add_argument("--work", type=Path, default=WORK, help="copies and descriptors are kept here")
    parser.add_argument("--originals", type=int, default=24, help="fewer for a quick look")
    parser.add_argument("--edits", nargs="+", default=list(EDITS), metavar="NAME", help="some, for a quick look")
    parser.add_argument("--workers", type=int, default=2, help="processes that make copies")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    try:
        benchmark = plan(arguments.videos, arguments.work, names=arguments.edits, originals=arguments.originals)
    except ValueError as error:
        sys.exit(str(error))
    stored = descriptor_folder(arguments.work, benchmark, bundle.model_version)
    with progress_bar() as progress:
        editing, describing = (progress.add_task(name, rate="", total=None) for name in ("editing", "describing"))
        make_copies(
            benchmark.copies,
            arguments.workers,
            lambda done, total: progress.update(editing, completed=done, total=total),
        )
        describe_benchmark(
            benchmark,
            Describer(bundle),
            stored,
            lambda done, total: progress.update(describing, completed=done, total=total),
        )
    videos = read_videos(benchmark, stored)
    calibration = bundle.manifest.calibration
    threshold = calibration.joined_score(calibration.alert_threshold)
    pairs, seconds = compare(benchmark, videos)
    console.print(table([Judged(name, "", judge(scored, threshold)) for name, scored in pairs.items()]))
    each = {name: spent_s / len(pairs[name]) * 1e3 for name, spent_s in seconds.items()}
    slowest = max(each.values())
    for name, milliseconds in each.items():
        console.print(f"{name:20} {milliseconds:5.2f} ms per pair, {milliseconds / slowest:4.2f} of the slower one")


def compare(
    benchmark: Benchmark, videos: Mapping[str, VideoDescriptor]
) -> tuple[dict[str, list[ScoredPair]], dict[str, float]]:
    """Every pair of the benchmark scored by each method, and the seconds that each took; pair by pair in turn."""
    scored: dict[str, list[ScoredPair]] = {name: [] for name in METHODS}
    seconds = dict.fromkeys(METHODS, 0.0)
    for pair in benchmark.pairs():
        query, reference = videos[pair.query.stem], videos[pair.reference.stem]
        similarity = similarity_matrix(query.frames, reference.frames)
        one_segment = np.zeros(len(reference), np.int64)
        true = pair.copy.truth().matches if pair.is_copy and pair.copy else ()
        for name, method in METHODS.items():
            started = time.perf_counter()
            observed = observe(0, similarity, query.timestamps_s, reference.timestamps_s, one_segment, method)
            seconds[name] += time.perf_counter() - started
            evidence = join([observed])
            edit = pair.copy.edit if pair.copy else ""
            scored[name].append(ScoredPair(pair.is_copy, evidence.joined_score, edit, evidence.intervals, true))
    return scored, seconds


if __name__ == "__main__":
    main()
