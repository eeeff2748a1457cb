"""Similarity of every query with every video of a database, from stored frame descriptors.

Queries are held in memory in groups of up to `QUERY_FRAMES` frames; the database is read one video at a time, once per
group. The scores take four bytes per pair: 90 MB for FIVR-200K.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.matching.similarity import chamfer_ragged
from tca_model.types import FloatArray

Similarity: TypeAlias = Literal["cosine", "chamfer", "symmetric-chamfer", "larger-chamfer"]
SIMILARITIES: tuple[Similarity, ...] = get_args(Similarity)

QUERY_FRAMES = 200_000  # in memory at once: 0.8 GB of 1024 dimensions
MATRIX_ENTRIES = 16_000_000  # in similarity matrices at once: 64 MB


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """scores[i, j] is the similarity of queries[i] and database[j]; lists videos that could not be compared."""

    queries: tuple[str, ...]
    database: tuple[str, ...]
    scores: FloatArray  # (queries, database)
    missing: tuple[str, ...] = ()  # not stored
    empty: tuple[str, ...] = ()  # stored without a single frame

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.queries), len(self.database)):
            raise ValueError(f"scores {self.scores.shape} of {len(self.queries)} x {len(self.database)} videos")

    def without_empty(self) -> "ScoreTable":
        """The table without the rows and columns of empty videos."""
        empty = set(self.empty)
        if not empty:
            return self
        rows = [row for row, video in enumerate(self.queries) if video not in empty]
        columns = [column for column, video in enumerate(self.database) if video not in empty]
        return replace(
            self,
            queries=tuple(self.queries[row] for row in rows),
            database=tuple(self.database[column] for column in columns),
            scores=self.scores[np.ix_(rows, columns)],
        )


def score_table(
    queries: Sequence[str],
    database: Sequence[str],
    stored: DescriptorFolder,
    similarity: Similarity,
    advance: Callable[[int, int], None] = lambda _done, _total: None,
    *,
    query_frames: int = QUERY_FRAMES,
) -> ScoreTable:
    """The scores of all queries with all database videos that are stored.

        cosine             of the means of the frame descriptors (TCA_c where these are the refined ones)
        chamfer            query to reference (TCA_f)
        symmetric-chamfer  mean of both directions (TCA_sym)
        larger-chamfer     the larger direction: a short copy in a long video scores high both ways

    `advance(done, total)` gets the number of compared pairs. Raises ValueError for a damaged file, for descriptors of
    two model versions, and if no query or no database video can be compared.
    """
    reader = _Reader(stored, pooled=similarity == "cosine")
    rows = [video for video in queries if video in stored]
    columns = [video for video in database if video in stored]
    scores = np.zeros((len(rows), len(columns)), dtype=np.float32)
    empty: dict[str, None] = {}
    done = 0
    for group in _groups(rows, reader, query_frames, empty):
        for column, video in enumerate(columns):
            reference = reader.read(video)
            if len(reference):
                scores[group.rows, column] = _similarities(group, reference, similarity)
            else:
                empty[video] = None
            done += len(group.rows)
            advance(done, scores.size)
    missing = dict.fromkeys(video for video in (*queries, *database) if video not in stored)
    table = ScoreTable(tuple(rows), tuple(columns), scores, tuple(missing), tuple(empty)).without_empty()
    for kind, listed, there in (("queries", queries, table.queries), ("database videos", database, table.database)):
        if not there:
            raise ValueError(f"{stored.folder} has frame descriptors of none of the {len(listed)} {kind}")
    return table


class _Reader:
    """Reads frame descriptors (T, D), or their mean (1, D). All must be of the same model version."""

    def __init__(self, stored: DescriptorFolder, *, pooled: bool) -> None:
        self._stored = stored
        self._pooled = pooled
        self._first: tuple[str, str, int] | None = None  # video, model version, dimension

    def read(self, video: str) -> FloatArray:
        descriptor, version = self._stored.read(video)
        if not len(descriptor):
            return descriptor.frames
        first_video, first_version, dimension = self._first = self._first or (
            video,
            version,
            descriptor.frames.shape[1],
        )
        if (version, descriptor.frames.shape[1]) != (first_version, dimension):
            raise ValueError(
                f"{self._stored.folder} mixes descriptors that cannot be compared: {first_video} is of model version "
                f"{first_version} with {dimension} dimensions, {video} of {version} with {descriptor.frames.shape[1]}"
            )
        if not self._pooled:
            return descriptor.frames
        mean = descriptor.frames.mean(axis=0, keepdims=True)
        pooled: FloatArray = mean / max(float(np.linalg.norm(mean)), np.finfo(np.float32).tiny)
        return pooled


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Queries that are in memory together, with their frame descriptors stacked."""

    rows: list[int]  # of the score table
    frames: FloatArray  # (sum Tq, D)
    lengths: NDArray[np.int64]  # (queries,)


def _groups(videos: Sequence[str], reader: _Reader, query_frames: int, empty: dict[str, None]) -> Iterator[_Group]:
    """Groups of videos of up to `query_frames` frames, or of one longer video. Adds those without to `empty`."""
    held: list[tuple[int, FloatArray]] = []
    for row, video in enumerate(videos):
        frames = reader.read(video)
        if not len(frames):
            empty[video] = None
            continue
        if held and sum(len(other) for _, other in held) + len(frames) > query_frames:
            yield _stack(held)
            held = []
        held.append((row, frames))
    if held:
        yield _stack(held)


def _stack(held: Sequence[tuple[int, FloatArray]]) -> _Group:
    lengths = np.array([len(frames) for _, frames in held], dtype=np.int64)
    return _Group([row for row, _ in held], np.concatenate([frames for _, frames in held]), lengths)


def _similarities(group: _Group, reference: FloatArray, similarity: Similarity) -> FloatArray:
    """The similarity (queries,) of each query with the reference, in blocks of at most MATRIX_ENTRIES."""
    ends = np.cumsum(group.lengths)
    block = ends * len(reference) // MATRIX_ENTRIES  # ascending, so a block's queries are contiguous
    found = []
    for number in np.unique(block):
        inside = np.flatnonzero(block == number)
        first = int(ends[inside[0]] - group.lengths[inside[0]])
        frames = group.frames[first : int(ends[inside[-1]])]
        to_query, to_reference = chamfer_ragged(reference, frames, group.lengths[inside])
        found.append(_combine(similarity, to_reference, to_query))
    return np.concatenate(found)


def _combine(similarity: Similarity, to_reference: FloatArray, to_query: FloatArray) -> FloatArray:
    match similarity:
        case "cosine" | "chamfer":  # chamfer of two single rows is their cosine
            return to_reference
        case "symmetric-chamfer":
            mean: FloatArray = np.divide(to_reference + to_query, 2, dtype=np.float32)
            return mean
        case "larger-chamfer":
            return np.maximum(to_reference, to_query)
