"""Cuts the described frames of a file into segments, one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tca_model.types import FloatArray, Times, VideoDescriptor
from tca_model.video.stills import distinctive_frames


@dataclass(frozen=True, slots=True, eq=False)
class CutSegment:
    """A finished segment, in asset time. Its descriptor is empty if no frame shows anything, or nothing moves."""

    segment_index: int
    start_s: float
    end_s: float
    descriptor: VideoDescriptor


class SegmentCutter:
    """Collects frames until the next one lies past the segment's end; holds one segment at a time.

    Stretches without a frame (a jump in the timestamps) make no segment, so that damaged times cannot make millions.
    A segment file of a longer upload is one segment: `segment_s` infinite, with its own index and start.
    `segment_count`: of segments that were cut before, if the first frames are left out.
    """

    def __init__(
        self, *, dimension: int, segment_s: float, first_index: int = 0, start_s: float = 0.0, segment_count: int = 0
    ) -> None:
        self.segment_count = segment_count
        self._dimension = dimension
        self._segment_s = segment_s
        self._first_index = first_index
        self._start_s = start_s
        self._index: int | None = None
        self._times: list[float] = []
        self._first_shown: list[float] = []
        self._frames: list[FloatArray] = []

    def add(self, timestamps_s: Times, frames: FloatArray, first_shown_s: Times) -> Iterator[CutSegment]:
        """Add frames (N, D) with their times in the file (N,), and yield the segments that they finish.

        `first_shown_s`: when the same picture was first shown, from Stills.track.
        """
        for time_s, frame, first_s in zip(timestamps_s.tolist(), frames, first_shown_s.tolist(), strict=True):
            index = int(time_s // self._segment_s)
            if self._index is not None and index != self._index:
                yield self._close(end_s=(self._index + 1) * self._segment_s)
            self._index = index
            self._times.append(time_s)
            self._first_shown.append(first_s)
            self._frames.append(frame)

    def finish(self, duration_s: float) -> CutSegment:
        """The last segment, which ends with the file. Raises ValueError if there was no frame at all."""
        if self._index is None:
            raise ValueError("a file without frames has no segments")
        return self._close(end_s=min(duration_s, (self._index + 1) * self._segment_s))

    def _close(self, end_s: float) -> CutSegment:
        assert self._index is not None
        times = np.array(self._times, dtype=np.float64)
        kept = distinctive_frames(times, np.array(self._first_shown))
        frames = np.array(self._frames, dtype=np.float32).reshape(-1, self._dimension)
        start_s = 0.0 if self._index == 0 else self._index * self._segment_s  # 0 * inf is not a number
        cut = CutSegment(
            segment_index=self._first_index + self._index,
            start_s=self._start_s + start_s,
            end_s=self._start_s + end_s,
            descriptor=VideoDescriptor(self._start_s + times[kept], frames[kept]),
        )
        self.segment_count += 1
        self._index, self._times, self._first_shown, self._frames = None, [], [], []
        return cut
