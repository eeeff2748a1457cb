"""Decoders and a model for made films, in place of FFmpeg and torch; everything else of ingest is real."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import numpy as np
from numpy.typing import NDArray

from services.ingest.decode.events import (
    CheckpointReached,
    DecodeEvent,
    DecodeFailed,
    DecodeFinished,
    FramesDecoded,
)
from tca_model.types import FloatArray
from tests.chaos.films import Film, describe_pictures, make_pictures, parse_film
from tests.chaos.steps import SEGMENT_S

# A long film takes a second or two, so that faults meet it in the middle.
CHUNK_S: Final = SEGMENT_S
CHUNK_TAKES_S: Final = 0.05
CHECKPOINT_S: Final = 3 * SEGMENT_S  # of film between two checkpoints


@dataclass(slots=True)
class _Decoding:
    film: Film
    read_s: int
    checkpoint_at_s: float
    due_s: float  # when the next chunk is ready, by time.monotonic()


class FilmDecoders:
    """Stands for a DecodePool: decodes made films, some at a time, each in chunks that take a while."""

    def __init__(self, *, workers: int, **_: Any) -> None:
        self._workers = workers
        self._busy: dict[str, _Decoding] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._busy.clear()

    @property
    def free(self) -> int:
        return self._workers - len(self._busy)

    def submit(
        self,
        job: str,
        file: BinaryIO,
        *,
        max_duration_s: float,  # noqa: ARG002 - films are short
        checkpoint_s: float,
        resume: bytes | None,
    ) -> None:
        with file:
            film = parse_film(file.read().decode())
        start_s = int(resume or b"0")
        checkpoint_at_s = start_s + CHECKPOINT_S if math.isfinite(checkpoint_s) else math.inf
        self._busy[job] = _Decoding(film, start_s, checkpoint_at_s, time.monotonic() + CHUNK_TAKES_S)

    def cancel(self, job: str) -> None:
        self._busy.pop(job, None)

    def wake(self) -> None:
        """Does nothing: polls are short."""

    def poll(self, timeout_s: float) -> list[DecodeEvent]:
        due_s = min((one.due_s for one in self._busy.values()), default=math.inf)
        time.sleep(max(0.0, min(timeout_s, due_s - time.monotonic(), CHUNK_TAKES_S)))
        ready = [job for job, one in self._busy.items() if one.due_s <= time.monotonic()]
        return [self._advance(job) for job in ready]

    def _advance(self, job: str) -> DecodeEvent:
        one = self._busy[job]
        if one.read_s >= one.checkpoint_at_s:
            one.checkpoint_at_s += CHECKPOINT_S
            return CheckpointReached(job, float(one.read_s), str(one.read_s).encode())
        start_s, one.read_s = one.read_s, min(one.read_s + CHUNK_S, one.film.readable_s)
        one.due_s = time.monotonic() + CHUNK_TAKES_S
        if start_s < one.read_s:
            times_s = np.arange(start_s, one.read_s, dtype=np.float64)
            return FramesDecoded(job, times_s, make_pictures(one.film, start_s, one.read_s))
        del self._busy[job]
        if one.film.broken_after_s is not None:
            return DecodeFailed(job, "the film is broken")
        return DecodeFinished(job, float(one.film.length_s))


class FilmExtractor:
    """Stands for a DescriptorExtractor: reads descriptors off the pictures of films."""

    def __init__(self, dimension: int) -> None:
        self.batch_frames = 256
        self._dimension = dimension

    def describe(self, images: NDArray[np.uint8]) -> FloatArray:
        return describe_pictures(images, self._dimension)

    def encode(self, segments: Sequence[FloatArray]) -> list[tuple[FloatArray, FloatArray]]:
        """The frames as they are, and their mean as the segment descriptor."""
        means = [frames.mean(axis=0) for frames in segments]
        return [(frames, mean / np.linalg.norm(mean)) for frames, mean in zip(segments, means, strict=True)]
