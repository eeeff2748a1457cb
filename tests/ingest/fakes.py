"""Fakes of what ingest works with: files decode to scripted steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.contracts.errors import InvalidMessage
from services.ingest.decode.events import CheckpointReached, DecodeEvent, DecodeFailed, DecodeFinished, FramesDecoded
from services.ingest.fetch.budget import ByteBudget
from services.ingest.fetch.local import fetch
from services.ingest.fetch.media import FetchPolicy, Media
from services.ingest.fetch.pool import FetchFinished
from tca_model.types import FloatArray
from tests.vectors import unit

MAX_BYTES = 1000  # of a file
BLINK = 120  # of 255, every other second: still pictures are not described


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames that a decoder sends together: one per second from `start_s`, of one picture with a blinking light.

    `still`: without it.
    """

    start_s: int
    end_s: int
    tag: int = 100
    black: bool = False
    still: bool = False

    def frames(self, job: str) -> FramesDecoded:
        times_s = np.arange(self.start_s, self.end_s, dtype=np.float64)
        images = np.zeros((len(times_s), 4, 4, 3), np.uint8)
        if not self.black:
            images[:, 0, 0, 0] = self.tag
            images[:, 0, 0, 2] = 0 if self.still else BLINK * (times_s % 2)
            images[:, 2:, :] = 255
        return FramesDecoded(job, times_s, images)


class Pause(NamedTuple):
    """The decoder has nothing ready at this step."""


class Mark(NamedTuple):
    """The decoder can go on here: before its frame at this time."""

    time_s: float


class End(NamedTuple):
    duration_s: float
    decoded_share: float = 1.0


class Failure(NamedTuple):
    reason: str
    may_pass: bool = False


Step: TypeAlias = Shot | Pause | Mark | End | Failure


class FakePool:
    """Decodes a file to the scripted steps of its path; every poll takes one step of each job."""

    def __init__(self, scripts: dict[str, list[Step]], workers: int) -> None:
        self._scripts = scripts
        self._workers = workers
        self._busy: dict[str, list[Step]] = {}
        self._steps: dict[str, list[Step]] = {}  # all of the job
        self.decoded: list[str] = []  # names of files, as they were submitted
        self.limits_s: list[float] = []
        self.resumed: list[int] = []  # after how many steps
        self.can_seek = True

    @property
    def free(self) -> int:
        return self._workers - len(self._busy)

    def submit(
        self, job: str, file: BinaryIO, *, max_duration_s: float, checkpoint_s: float, resume: bytes | None
    ) -> None:
        assert self.free > 0
        assert job not in self._busy
        assert (checkpoint_s < max_duration_s) == (max_duration_s == math.inf), "none in segment files"
        with file:
            done = int(resume) if resume and self.can_seek else 0
            self.resumed += [done] if resume else []
            self._steps[job] = self._scripts[file.name]
            self._busy[job] = list(self._scripts[file.name][done:])
            self.decoded.append(Path(file.name).name)
        self.limits_s.append(max_duration_s)

    def cancel(self, job: str) -> None:
        self._busy.pop(job, None)

    def poll(self, timeout_s: float) -> list[DecodeEvent]:
        assert timeout_s == 0
        events: list[DecodeEvent] = []
        for job, steps in list(self._busy.items()):
            match steps.pop(0):
                case Shot() as shot:
                    events.append(shot.frames(job))
                case Mark(time_s):
                    done = len(self._steps[job]) - len(steps)
                    events.append(CheckpointReached(job, time_s, str(done).encode()))
                case End(duration_s, decoded_share):
                    events.append(DecodeFinished(job, duration_s, decoded_share))
                    del self._busy[job]
                case Failure(reason, may_pass):
                    events.append(DecodeFailed(job, reason, may_pass))
                    del self._busy[job]
        return events


class FakeFetches:
    """Fetches during `poll`, except files in `held`. Reserves the bytes of a file as if it had been downloaded.

    `max_files`: how many files may be in use, or be so after the next poll.
    """

    def __init__(self, max_files: int) -> None:
        self._max_files = max_files
        self._policy = FetchPolicy(roots=None, max_bytes=MAX_BYTES)
        self._uris: dict[str, str] = {}
        self._budget = ByteBudget(10**9)
        self._in_use: set[str] = set()
        self.is_full = False
        self.held: set[str] = set()  # names of files
        self.polled: list[FetchFinished] = []

    @property
    def has_room(self) -> bool:
        return not self.is_full and len(self._in_use) + len(self._ready) < self._max_files

    @property
    def parked_count(self) -> int:
        return len(self._uris) - len(self._ready)

    @property
    def unfetched(self) -> list[str]:
        return [job for job in self._uris if job not in self._ready]

    @property
    def reserved_bytes(self) -> int:
        return self._budget.reserved_bytes

    def submit(self, job: str, uri: str, tenant: str) -> None:  # noqa: ARG002 - part of the port
        assert job not in self._uris
        self._uris[job] = uri

    def poll(self) -> list[FetchFinished]:
        fetched = [FetchFinished(job, self._fetch(job, self._uris.pop(job))) for job in self._ready]
        self.polled += fetched
        return fetched

    def cancel(self, job: str) -> None:
        self._uris.pop(job, None)

    @property
    def _ready(self) -> list[str]:
        return [job for job, uri in self._uris.items() if Path(uri).name not in self.held]

    def _fetch(self, job: str, uri: str) -> Media | InvalidMessage:
        try:
            media = fetch(uri, self._policy)
            reservation = self._budget.open()
            reservation.require(media.size_bytes)
            self._in_use.add(job)
            return replace(media, reservation=reservation, on_close=lambda: self._in_use.discard(job))
        except InvalidMessage as error:
            return error


class Encoded(NamedTuple):
    frames: FloatArray
    vector: FloatArray


class FakeExtractor:
    """Describes a frame by the direction of its first pixel's colour, a segment by its first frame."""

    def __init__(self) -> None:
        self.batch_frames = 64
        self.batches: list[int] = []

    def describe(self, images: NDArray[np.uint8]) -> FloatArray:
        self.batches.append(len(images))
        return unit(images[:, 0, 0].astype(np.float32) + np.array([1, 100, 1], np.float32))

    def encode(self, segments: Sequence[FloatArray]) -> list[Encoded]:
        return [Encoded(frames, frames[0]) for frames in segments]


def describe_film(tag: int, seconds: int) -> FloatArray:
    return FakeExtractor().describe(Shot(0, seconds, tag).frames("").images)
