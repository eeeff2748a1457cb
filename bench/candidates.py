"""Recall of the candidate stage alone, against exhaustive chamfer similarity, and what it costs.

    python -m bench.candidates [--json FILE] [--bundle NAME] [--originals N] [--edits NAME ...]

Queries are the copies of this project's benchmark (tca_model.evaluation.benchmark), and pieces of 4 to 32 seconds of
them inside other videos. They are searched for in a Milvus Lite index of all clips in
../shared/data/videos/dev, lectures of ten minutes that show a still of an original each, and thirty copies of one
original. Only that original is stored as a reference; everything else has to be found among all.

A true pair of exhaustive chamfer is a copy with its original whose chamfer similarity, the larger direction, is where
99 % of the benchmark's pairs are copies. It is found when the original is a candidate of a query segment that copies
it. Pairs of segments are counted as well: of those that share enough frames to be aligned, how many are candidates.
Descriptors are those of bench.alignment.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.progress import Progress

from bench.candidate_cases import Query, iter_edited, iter_inserted, iter_strangers, make_lecture, segments_of
from bench.candidate_figures import STAGES, Cost, Recall, Sought, build_cost_table, recalls, table
from bench.quality import DEV, WORK
from services.backends.milvus.index import MilvusIndex
from services.cli.console import console, progress_bar
from services.contracts.errors import UsageError
from services.contracts.events import Role
from services.contracts.ports import DescriptorIndex
from services.contracts.segments import DescribedSegment
from services.matcher.candidates import NearestCandidates
from services.matcher.rerank import compare
from tca_model.api import Describer
from tca_model.bundle import DEFAULT, load_bundle
from tca_model.data.held_out import families
from tca_model.errors import BundleError
from tca_model.evaluation.benchmark import Benchmark, make_copies, plan
from tca_model.evaluation.described import describe_benchmark, descriptor_folder, videos_of
from tca_model.evaluation.quality import ScoredPair, judge
from tca_model.matching.similarity import chamfer, similarity_matrix
from tca_model.synthetic.edits import EDITS
from tca_model.types import VideoDescriptor

LECTURES = 4
GROWTH = 4  # how many times larger the index is made
TIMED = 24  # query segments whose cost is measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--bundle", default=DEFAULT, help="a shipped name or a folder")
    parser.add_argument("--videos", type=Path, default=DEV, help="the clips, with a manifest of their families")
    parser.add_argument("--work", type=Path, default=WORK, help="copies and descriptors are kept here")
    parser.add_argument("--originals", type=int, default=24, help="fewer for a quick look")
    parser.add_argument("--edits", nargs="+", default=list(EDITS), metavar="NAME", help="some, for a quick look")
    parser.add_argument("--workers", type=int, default=2, help="processes that make copies")
    arguments = parser.parse_args()
    try:
        bundle = load_bundle(arguments.bundle)
        if (aggregator := bundle.manifest.descriptor.encoder.aggregator) != "mean":
            sys.exit(f"this bench needs the mean aggregator; bundle {arguments.bundle} has {aggregator}")
        benchmark = plan(arguments.videos, arguments.work, names=arguments.edits, originals=arguments.originals)
        with progress_bar() as progress, tempfile.TemporaryDirectory(prefix="bench-candidates-") as folder:
            videos, rest = describe_all(
                arguments.work, arguments.videos, benchmark, Describer(bundle), arguments.workers, progress
            )
            index = MilvusIndex(
                f"{folder}/index.db",
                model_version=bundle.model_version,
                dimension=next(iter(videos.values())).frames.shape[1],
            )
            try:
                recalls, costs = measure(benchmark, videos, rest, index, progress)
            finally:
                index.close()
    except (ValueError, BundleError, UsageError) as error:
        sys.exit(str(error))
    console.print(table(recalls))
    console.print(build_cost_table(costs))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        figures = {
            "recall": {name: asdict(one) for name, one in recalls.items()},
            "cost": [asdict(one) for one in costs],
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def describe_all(
    work: Path, clips: Path, benchmark: Benchmark, describer: Describer, workers: int, progress: Progress
) -> tuple[dict[str, VideoDescriptor], list[str]]:
    """All descriptors by name, made where they are missing, and the names of clips that are not in the benchmark."""
    folder = descriptor_folder(work, benchmark, describer.extractor.model_version)
    names = [path.stem for path in videos_of(benchmark)]
    rest = [path for paths in families(clips).values() for path in paths if path.stem not in names]
    editing, describing = (progress.add_task(name, rate="", total=None) for name in ("editing", "describing"))
    make_copies(benchmark.copies, workers, lambda done, total: progress.update(editing, completed=done, total=total))
    describe_benchmark(
        benchmark,
        describer,
        folder,
        lambda done, total: progress.update(describing, completed=done, total=total + len(rest)),
    )
    for path in rest:
        if path.stem not in folder:
            folder.write(path.stem, describer.describe_frames(path), describer.extractor.model_version)
        progress.advance(describing)
    return {name: folder.read(name)[0] for name in [*names, *(path.stem for path in rest)]}, [one.stem for one in rest]


def measure(
    benchmark: Benchmark,
    videos: Mapping[str, VideoDescriptor],
    rest: Sequence[str],
    index: DescriptorIndex,
    progress: Progress,
) -> tuple[dict[str, Recall], list[Cost]]:
    """Recall by group of queries, and the cost in the index as it is and made larger."""
    stored = list(build_index_segments(benchmark, videos, rest))
    index.store(stored)
    index.flush()
    cut = chamfer_cut(benchmark, videos)
    queries = [*iter_edited(benchmark, videos), *iter_inserted(benchmark, videos)]
    crowds = crowds_of(benchmark)
    searching = progress.add_task("searching", rate="", total=len(queries))
    sought = []
    for query in queries:
        is_chamfers = chamfer_of(query.descriptor, videos[query.original]) >= cut
        sought.append(seek(query, crowds.get(query.original, ""), is_chamfers, index))
        progress.advance(searching)
    timed = [one for query in queries for one in segments_of(query.asset_id, query.descriptor)]
    chosen = np.random.default_rng(0).permutation(len(timed))[:TIMED]
    costs = [measure_cost([timed[one] for one in chosen], stored, index)]
    frames = sum(len(segment.descriptor) for segment in stored)
    for number, video in enumerate(iter_strangers(list(videos.values()), (GROWTH - 1) * frames, seed=0)):
        stored += segments_of(f"stranger{number}", video)
    index.store(stored)
    index.flush()
    costs.append(measure_cost([timed[one] for one in chosen], stored, index))
    return recalls(sought), costs


def crowds_of(benchmark: Benchmark) -> dict[str, str]:
    """What crowds the copies of an original: a viral family for the first, lectures for some more."""
    originals = list(dict.fromkeys(copy.original.path.stem for copy in benchmark.copies))
    return {originals[0]: "of a viral family"} | dict.fromkeys(originals[1 : 1 + LECTURES], "shown by a lecture")


def build_index_segments(
    benchmark: Benchmark, videos: Mapping[str, VideoDescriptor], rest: Sequence[str]
) -> Iterator[DescribedSegment]:
    """All segments in the index."""
    crowds = crowds_of(benchmark)
    clips = [*(one.path.stem for one in benchmark.references), *(one.path.stem for one in benchmark.distractors), *rest]
    for name in clips:
        is_viral = crowds.get(name, "").endswith("family")
        yield from segments_of(name, videos[name], Role.REFERENCE if is_viral else Role.UPLOAD)
        if is_viral:
            yield from segments_of("viral-again", videos[name])
        elif name in crowds:
            yield from segments_of(f"lecture-{name}", make_lecture(videos[name].frames[len(videos[name]) // 2], seed=1))
    for copy in benchmark.copies:
        if crowds.get(copy.original.path.stem, "").endswith("family"):
            yield from segments_of(f"viral-{copy.edit}", videos[copy.path.stem])


def chamfer_of(query: VideoDescriptor, reference: VideoDescriptor) -> float:
    similarity = similarity_matrix(query.frames, reference.frames)
    return max(chamfer(similarity), chamfer(similarity.T))


def chamfer_cut(benchmark: Benchmark, videos: Mapping[str, VideoDescriptor]) -> float:
    """The similarity that pairs of the benchmark must reach to be copies at the stated precision."""
    pairs = [
        ScoredPair(pair.is_copy, chamfer_of(videos[pair.query.stem], videos[pair.reference.stem]))
        for pair in benchmark.pairs()
    ]
    cut = judge(pairs).score
    return np.inf if cut is None else cut


def seek(query: Query, crowd: str, is_chamfers: bool, index: DescriptorIndex) -> Sought:
    """What each stage finds of a query's original."""
    segments = segments_of(query.asset_id, query.descriptor)
    wanted = query.expected_pairs()
    found = {}
    for name, limits in STAGES.items():
        keys = NearestCandidates(index, limits)(segments, after=None)
        found[name] = {
            (segment.row.segment_index, *key.segment_id.rsplit(":", 1))
            for segment, of_segment in zip(segments, keys, strict=True)
            for key in of_segment
        }
    copying = {segment for segment, _ in wanted}
    return Sought(
        query.group,
        crowd,
        is_chamfers,
        len(wanted),
        {
            name: any(segment in copying and asset == query.original for segment, asset, _ in one)
            for name, one in found.items()
        },
        {name: sum((s, query.original, str(r)) in one for s, r in wanted) for name, one in found.items()},
    )


def measure_cost(
    queries: Sequence[DescribedSegment], stored: Sequence[DescribedSegment], index: DescriptorIndex
) -> Cost:
    """What a query segment costs, one after the other; descriptors are in memory, as in a cache that has them all."""
    by_key = {segment.row.key: segment for segment in stored}
    stages: dict[str, float] = {}
    candidates = [keys for query in queries for keys in NearestCandidates(index)([query], after=None)]  # warm
    for name, limits in STAGES.items():
        stage, started = NearestCandidates(index, limits), time.perf_counter()
        for query in queries:
            stage([query], after=None)
        stages[name] = _each_ms(started, len(queries))
    started = time.perf_counter()
    for query, keys in zip(queries, candidates, strict=True):
        compare(query, [by_key[key] for key in keys])
    compared = _each_ms(started, len(queries))
    started = time.perf_counter()
    for query in queries:
        compare(query, stored)
    return Cost(
        frames=sum(len(segment.descriptor) for segment in stored),
        stages_ms=stages,
        compared_ms=compared,
        exhaustive_ms=_each_ms(started, len(queries)),
        candidates=sum(map(len, candidates)) / len(candidates),
    )


def _each_ms(started: float, count: int) -> float:
    return (time.perf_counter() - started) / count * 1e3


if __name__ == "__main__":
    main()
