"""The benchmark on stored descriptors: with similarities, an encoder, any function of two videos."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tca_model.api import Describer
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.evaluation.benchmark import Benchmark, Clip, Copy
from tca_model.evaluation.described import (
    LONGEST_FRAMES,
    PairScore,
    chamfer_without_noise,
    cosine_of_weighted_means,
    describe_benchmark,
    encode_videos,
    joined_score,
    judge_pairs,
    judge_similarity,
    videos_of,
)
from tca_model.matching.similarity import chamfer, similarity_matrix
from tca_model.networks.aggregators import MeanAggregator
from tca_model.synthetic.clips import write_clip
from tca_model.types import FloatArray, VideoDescriptor

VERSION = "abc"


def frames(seed: int, count: int = 8) -> FloatArray:
    rows = np.random.default_rng(seed).standard_normal((count, 32), dtype=np.float32)
    unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def video(rows: FloatArray) -> VideoDescriptor:
    return VideoDescriptor(np.arange(len(rows), dtype=np.float64), rows)


def clip(name: str) -> Clip:
    return Clip(Path(f"/{name}.mp4"), f"family of {name}")


@pytest.fixture
def benchmark() -> Benchmark:
    """Two copies, one of them in the middle of another video, and a distractor; both originals are references."""
    first, second, host = clip("first"), clip("second"), clip("host")
    copies = (
        Copy(Path("/first-trim.mp4"), "trim", first, host, 0),
        Copy(Path("/second-insert.mp4"), "insert", second, host, 1),
    )
    return Benchmark(copies, (host,), (first, second))


@pytest.fixture
def stored(tmp_path: Path) -> DescriptorFolder:
    folder = DescriptorFolder(tmp_path / "described")
    first, second, host = frames(1), frames(2), frames(3, 20)
    inserted = np.concatenate([host[:10], second[2:6], host[10:]])
    described = {"first": first, "second": second, "host": host, "first-trim": first[2:6], "second-insert": inserted}
    for name, rows in described.items():
        folder.write(name, video(rows), VERSION)
    return folder


def test_a_copy_within_a_video_is_found_only_in_the_larger_direction(
    benchmark: Benchmark, stored: DescriptorFolder
) -> None:
    larger = judge_similarity(benchmark, stored, "larger-chamfer")
    assert (larger.copies, larger.missing, larger.micro_ap, larger.recall) == (2, 0, 1.0, 1.0)
    assert larger.score
    assert larger.score > 0.6  # half of the original is shown

    forward = judge_similarity(benchmark, stored, "chamfer")
    assert forward.micro_ap == 1
    assert forward.score
    assert forward.score < 0.45  # a sixth of the query is copied, the rest is chance


def test_a_video_that_is_not_stored_counts_as_not_found(benchmark: Benchmark, stored: DescriptorFolder) -> None:
    stored.path("first-trim").unlink()
    quality = judge_similarity(benchmark, stored, "larger-chamfer")
    assert (quality.missing, quality.missing_copies, quality.micro_ap) == (2, 1, 0.5)


def test_a_video_without_frames_counts_as_not_found(
    benchmark: Benchmark, stored: DescriptorFolder, tmp_path: Path
) -> None:
    stored.write("first-trim", video(frames(0, 0)), VERSION)
    assert judge_pairs(benchmark, stored, joined_score).missing_copies == 1

    refined, whole = DescriptorFolder(tmp_path / "refined"), DescriptorFolder(tmp_path / "whole")
    encode_videos([path.stem for path in videos_of(benchmark)], stored, MeanAggregator(), refined, whole)
    for folder in (stored, refined, whole):
        quality = judge_similarity(benchmark, folder, "larger-chamfer")
        assert (quality.missing, quality.missing_copies) == (2, 1)


def test_any_function_of_two_videos_is_judged(benchmark: Benchmark, stored: DescriptorFolder) -> None:
    assert judge_pairs(benchmark, stored, joined_score).micro_ap == 1
    assert judge_pairs(benchmark, stored, lambda query, _reference: float(len(query))).micro_ap < 1


def test_frames_similar_to_noise_count_less() -> None:
    own, common = frames(1, 4), frames(2, 4)
    query, reference = (video(np.concatenate([own, common])) for _ in range(2))
    other = video(np.concatenate([frames(3, 4), common]))

    def margin(score: PairScore) -> float:
        return score(query, reference) - score(query, other)

    plain = margin(cosine_of_weighted_means(frames(9, 20)))
    assert margin(cosine_of_weighted_means(common)) > plain + 0.1
    assert cosine_of_weighted_means(common)(query, reference) == pytest.approx(1, abs=1e-5)
    matrix = similarity_matrix(query.frames, other.frames)
    assert chamfer_without_noise(common)(query, other) < chamfer(matrix) - 0.1


def test_the_mean_does_not_change_frames_and_gives_one_row_per_video(tmp_path: Path, stored: DescriptorFolder) -> None:
    refined, whole = DescriptorFolder(tmp_path / "refined"), DescriptorFolder(tmp_path / "whole")
    encode_videos(["first"], stored, MeanAggregator(), refined, whole)

    before, (after, version) = stored.read("first")[0], refined.read("first")
    assert version == VERSION
    np.testing.assert_allclose(after.frames, before.frames, atol=1e-3)
    mean = before.frames.mean(axis=0)
    np.testing.assert_allclose(whole.read("first")[0].frames, mean[None] / np.linalg.norm(mean), atol=1e-3)


def test_a_long_video_is_encoded_in_pieces_of_equal_length(tmp_path: Path) -> None:
    lengths: list[int] = []

    class Noted(MeanAggregator):
        def forward(self, frames: torch.Tensor, present: torch.Tensor):  # type: ignore[no-untyped-def]
            lengths.append(frames.shape[1])
            return super().forward(frames, present)

    stored, refined = DescriptorFolder(tmp_path / "described"), DescriptorFolder(tmp_path / "refined")
    stored.write("long", video(frames(0, 2 * LONGEST_FRAMES + 1)), VERSION)
    encode_videos(["long"], stored, Noted(), refined, DescriptorFolder(tmp_path / "whole"))
    assert lengths == [43, 43, 43]
    assert len(refined.read("long")[0]) == 129


@pytest.mark.integration  # loads a backbone
def test_videos_are_described_once(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_clip(path, 0, duration_s=3, size=(64, 48), fps=5)
    describer = Describer("bootstrap")
    folder = DescriptorFolder(tmp_path / "described")
    benchmark = Benchmark((), (Clip(path, "a"),), (Clip(path, "a"),))
    steps: list[tuple[int, int]] = []
    describe_benchmark(benchmark, describer, folder, lambda done, total: steps.append((done, total)))

    descriptor, version = folder.read("a")
    assert len(descriptor) == 3
    assert version == describer.extractor.model_version
    assert steps == [(1, 2), (2, 2)]

    written = folder.path("a").stat().st_mtime_ns
    describe_benchmark(benchmark, describer, folder, lambda *_: None)
    assert folder.path("a").stat().st_mtime_ns == written
