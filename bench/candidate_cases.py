"""Queries with known answers, and an index that makes them hard to find: descriptors in, described segments out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.contracts.events import Role
from services.contracts.segments import DescribedSegment, SegmentRow
from tca_model.evaluation.benchmark import Benchmark, Copy
from tca_model.matching.alignment import MIN_FRAMES
from tca_model.matching.similarity import first_views
from tca_model.synthetic.edits import EDITS, whole
from tca_model.types import FloatArray, Match, VideoDescriptor
from tca_model.video.segments import SegmentCutter

TENANT = "default"
SEGMENT_S = 32.0
LENGTHS_S = (4, 8, 16, 32)  # of pieces that are copied into another video
HOST_S = 64  # how long that video is with the piece
EDITS_A_PIECE = 6  # at most, per original and length: edited copies that a piece is cut from
LECTURE_S = 600
LECTURE_COSINE = 0.98  # of any two frames of a lecture


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A video that copies pieces of `original`; `group` is its edit, or how long the piece is."""

    asset_id: str
    group: str
    descriptor: VideoDescriptor
    original: str
    matches: tuple[Match, ...]

    def expected_pairs(self) -> frozenset[tuple[int, int]]:
        """Segment indices (query, reference) where the first copies enough of the second to be aligned."""
        shared: Counter[tuple[int, int]] = Counter()
        for match in self.matches:
            times_s = self.descriptor.timestamps_s
            times_s = times_s[(times_s >= match.query_start_s) & (times_s < match.query_end_s)]
            speed = (match.reference_end_s - match.reference_start_s) / (match.query_end_s - match.query_start_s)
            copied_s = match.reference_start_s + (times_s - match.query_start_s) * speed
            shared.update(zip((times_s // SEGMENT_S).astype(int), (copied_s // SEGMENT_S).astype(int), strict=True))
        enough = min(MIN_FRAMES, max(shared.values(), default=0))
        return frozenset((int(query), int(reference)) for (query, reference), n in shared.items() if n >= enough)


def segments_of(asset_id: str, video: VideoDescriptor, role: Role = Role.UPLOAD) -> list[DescribedSegment]:
    """The segments of a video as ingest cuts them, described by the mean of their frames."""
    cutter = SegmentCutter(dimension=video.frames.shape[1], segment_s=SEGMENT_S)
    cuts = [*cutter.add(video.timestamps_s, video.frames, video.timestamps_s)]
    cuts.append(cutter.finish(float(video.timestamps_s[-1]) + 1))
    return [
        DescribedSegment(
            SegmentRow(
                tenant=TENANT,
                asset_id=asset_id,
                segment_index=cut.segment_index,
                role=role,
                start_s=cut.start_s,
                end_s=cut.end_s,
                frame_count=len(cut.descriptor),
                stamp="bench",
                uri=asset_id,
                uploaded_at=0.0,
            ),
            cut.descriptor,
            _unit(cut.descriptor.frames.mean(axis=0)),
        )
        for cut in cuts
    ]


def iter_edited(benchmark: Benchmark, videos: Mapping[str, VideoDescriptor]) -> Iterator[Query]:
    """The copies of the benchmark."""
    for copy in benchmark.copies:
        name = copy.path.stem
        yield Query(name, copy.edit, videos[name], copy.original.path.stem, copy.truth().matches)


def iter_inserted(benchmark: Benchmark, videos: Mapping[str, VideoDescriptor]) -> Iterator[Query]:
    """Pieces of edited copies inside other videos; only copies that are long enough give pieces of a length.

    A frame's descriptor depends on that frame alone, so inserting rows between rows gives the descriptors of the
    spliced file, apart from its compression. The other video is one of the distractors, or several if they are short.
    """
    rng = np.random.default_rng(0)
    edits = [name for name, edit in EDITS.items() if edit.cut is whole and not edit.needs_other]
    by_original: dict[str, list[Copy]] = {}
    for copy in benchmark.copies:
        if copy.edit in edits:
            by_original.setdefault(copy.original.path.stem, []).append(copy)
    for length in LENGTHS_S:
        for copies in by_original.values():
            durations_s = {copy: int(videos[copy.path.stem].timestamps_s[-1]) + 1 for copy in copies}
            long_enough = [copy for copy in copies if durations_s[copy] >= length]
            chosen = rng.permutation(len(long_enough))[:EDITS_A_PIECE]
            for copy in (long_enough[one] for one in chosen):
                host = _host(benchmark, videos, HOST_S - length, rng)
                start = int(rng.integers(durations_s[copy] - length + 1))
                yield _splice(copy, videos[copy.path.stem], start, length, host, int(rng.integers(len(host) + 1)))


def _host(
    benchmark: Benchmark, videos: Mapping[str, VideoDescriptor], count: int, rng: np.random.Generator
) -> FloatArray:
    """Frames (count, D) of distractors, one after the other, without panels."""
    order = rng.permutation(len(benchmark.distractors))
    shown = [videos[benchmark.distractors[one].path.stem] for one in order]
    rows = np.concatenate([video.frames[first_views(video.timestamps_s)] for video in shown])
    return np.resize(rows, (count, rows.shape[1]))


def _splice(copy: Copy, video: VideoDescriptor, start: int, length: int, host: FloatArray, at: int) -> Query:
    times_s = video.timestamps_s
    piece = (times_s >= start) & (times_s < start + length)
    host_s = np.arange(len(host), dtype=np.float64)
    return Query(
        f"{copy.path.stem}-{length}s",
        f"{length} s",
        VideoDescriptor(
            np.concatenate([host_s[:at], times_s[piece] - start + at, host_s[at:] + length]),
            np.concatenate([host[:at], video.frames[piece], host[at:]]),
        ),
        copy.original.path.stem,
        (Match(at, at + length, start, start + length, 1.0),),
    )


def make_lecture(still: FloatArray, seed: int) -> VideoDescriptor:
    """Ten minutes of nearly the same picture (D,)."""
    grain = np.random.default_rng(seed).standard_normal((LECTURE_S, len(still)), dtype=np.float32)
    # Two frames share the picture but no grain, so their cosine is c = 1 / (1 + |grain|^2).
    grain *= np.sqrt((1 / LECTURE_COSINE - 1) / len(still))
    return VideoDescriptor(np.arange(LECTURE_S, dtype=np.float64), _unit(still + grain))


def iter_strangers(videos: Sequence[VideoDescriptor], frame_count: int, seed: int) -> Iterator[VideoDescriptor]:
    """Videos unlike all others, whose frames are alike as in real ones: dimensions change their places and signs."""
    rng = np.random.default_rng(seed)
    while frame_count > 0:
        video = videos[int(rng.integers(len(videos)))]
        frame_count -= len(video)
        dimension = video.frames.shape[1]
        signs = rng.choice(np.array([-1, 1], np.float32), dimension)
        yield VideoDescriptor(
            video.timestamps_s, np.ascontiguousarray(video.frames[:, rng.permutation(dimension)] * signs)
        )


def _unit(vectors: FloatArray) -> FloatArray:
    result: FloatArray = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return result
