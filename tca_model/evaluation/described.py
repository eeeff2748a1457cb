"""The benchmark on stored frame descriptors: described once, then scored in seconds by any method.

No services are involved, and each video is one piece. For the figures of a bundle in production use
`python -m bench.quality`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from tca_model.api import Describer
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.evaluation.benchmark import Advance, Benchmark
from tca_model.evaluation.quality import Quality, ScoredPair, judge
from tca_model.evaluation.scoring import Similarity, score_table
from tca_model.matching.evidence import join, observe
from tca_model.matching.similarity import chamfer, cosine, noise_similarity, similarity_matrix, subtract_noise
from tca_model.types import FloatArray, VideoDescriptor

PairScore: TypeAlias = Callable[[VideoDescriptor, VideoDescriptor], float]
LONGEST_FRAMES = 64  # input of an encoder at once; longer videos are cut into equal pieces


def descriptor_folder(work: Path, benchmark: Benchmark, model_version: str) -> DescriptorFolder:
    """Where a bundle's frame descriptors of the benchmark are kept: apart for each version of the edits."""
    return DescriptorFolder(work / f"frames-{model_version}" / benchmark.copies[0].path.parent.name)


def describe_benchmark(benchmark: Benchmark, describer: Describer, folder: DescriptorFolder, advance: Advance) -> None:
    """Store the missing frame descriptors of the benchmark's videos. Raises DecodeError for a damaged video."""
    videos = videos_of(benchmark)
    for done, path in enumerate(videos, start=1):
        if path.stem not in folder:
            folder.write(path.stem, describer.describe_frames(path), describer.extractor.model_version)
        advance(done, len(videos))


def videos_of(benchmark: Benchmark) -> list[Path]:
    """All queries and references; a name without suffix is the id in a DescriptorFolder."""
    return [*benchmark.queries, *(reference.path for reference in benchmark.references)]


@torch.inference_mode()
def encode_videos(
    videos: Sequence[str],
    stored: DescriptorFolder,
    encoder: nn.Module,
    refined: DescriptorFolder,
    whole: DescriptorFolder,
) -> None:
    """Encode videos and store their refined frame descriptors, and their segment descriptor as a single row.

    A video without frames is stored in both folders without rows.
    """
    encoder.eval()
    for video in videos:
        descriptor, version = stored.read(video)
        if not len(descriptor):
            refined.write(video, descriptor, version)
            whole.write(video, descriptor, version)
            continue
        pieces = np.array_split(descriptor.frames, -(-len(descriptor) // LONGEST_FRAMES))
        encoded = [
            encoder(torch.from_numpy(piece)[None], torch.ones(1, len(piece), dtype=torch.bool)) for piece in pieces
        ]
        rows = torch.cat([one.refined[0] for one in encoded]).numpy()
        segment = torch.cat([one.segment for one in encoded]).mean(dim=0, keepdim=True)
        refined.write(video, VideoDescriptor(descriptor.timestamps_s, rows), version)
        whole.write(video, VideoDescriptor(np.zeros(1), nn.functional.normalize(segment).numpy()), version)


def judge_similarity(benchmark: Benchmark, stored: DescriptorFolder, similarity: Similarity) -> Quality:
    """The figures of a similarity of stored descriptors."""
    queries = [path.stem for path in benchmark.queries]
    references = [reference.path.stem for reference in benchmark.references]
    table = score_table(queries, references, stored, similarity)
    rows = {video: row for row, video in enumerate(table.queries)}
    columns = {video: column for column, video in enumerate(table.database)}
    return judge_scores(
        benchmark,
        {
            (query, reference): float(table.scores[row, column])
            for query, row in rows.items()
            for reference, column in columns.items()
        },
    )


def judge_pairs(benchmark: Benchmark, stored: DescriptorFolder, score: PairScore) -> Quality:
    """The figures of a function that scores a query and a reference."""
    videos = read_videos(benchmark, stored)
    pairs = comparable_pairs(benchmark, videos)
    return judge_scores(benchmark, {(one, other): score(videos[one], videos[other]) for one, other in pairs})


def read_videos(benchmark: Benchmark, stored: DescriptorFolder) -> dict[str, VideoDescriptor]:
    """The frame descriptors of all queries and references by id."""
    return {path.stem: stored.read(path.stem)[0] for path in videos_of(benchmark)}


def comparable_pairs(benchmark: Benchmark, videos: Mapping[str, VideoDescriptor]) -> list[tuple[str, str]]:
    """The ids of query and reference of each pair; not of videos without frames, which no method can find."""
    pairs = [(pair.query.stem, pair.reference.stem) for pair in benchmark.pairs()]
    return [(query, reference) for query, reference in pairs if len(videos[query]) and len(videos[reference])]


def judge_scores(benchmark: Benchmark, scores: Mapping[tuple[str, str], float]) -> Quality:
    """The figures of scores by the ids of query and reference."""
    return judge(
        [
            ScoredPair(
                pair.is_copy, scores.get((pair.query.stem, pair.reference.stem)), pair.copy.edit if pair.copy else ""
            )
            for pair in benchmark.pairs()
        ]
    )


def chamfer_without_noise(noise: FloatArray) -> PairScore:
    """The larger chamfer similarity of both directions, after subtracting similarity to noise frames (M, D)."""

    def score(query: VideoDescriptor, reference: VideoDescriptor) -> float:
        matrix = similarity_matrix(query.frames, reference.frames)
        matrix = subtract_noise(matrix, *(noise_similarity(video.frames, noise) for video in (query, reference)))
        return max(chamfer(matrix), chamfer(matrix.T))

    return score


def cosine_of_weighted_means(noise: FloatArray) -> PairScore:
    """Cosine of weighted means; a frame has less weight the more similar it is to noise frames (M, D).

    Weights before pooling come from VVS (Jo et al., AAAI 2024, arXiv 2312.13832), where they are learned.
    """

    def pool(video: VideoDescriptor) -> FloatArray:
        mean: FloatArray = (1 - noise_similarity(video.frames, noise)) @ video.frames
        return mean

    return lambda query, reference: cosine(pool(query), pool(reference))


def joined_score(query: VideoDescriptor, reference: VideoDescriptor) -> float:
    """The matcher's joined score of a pair: from aligned intervals, or chamfer similarity if nothing aligns."""
    similarity: FloatArray = similarity_matrix(query.frames, reference.frames)
    of_segment = np.zeros(len(reference), dtype=np.int64)
    return join([observe(0, similarity, query.timestamps_s, reference.timestamps_s, of_segment)]).joined_score
