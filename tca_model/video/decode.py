"""Frames of a video file at true timestamps, and the points between them from which sampling can go on later."""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import BinaryIO, NamedTuple, cast

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tca_model.errors import DecodeError
from tca_model.types import Frame
from tca_model.video.checkpoint import Checkpoint, sum_picture
from tca_model.video.clock import FrameClock
from tca_model.video.coverage import LEAST_SHARE, Coverage
from tca_model.video.reader import check_pixels, decode_frames, find_video_stream, open_container, stores_pts
from tca_model.video.views import Views

FALLBACK_FRAME_S = Fraction(1, 25)  # if neither the frame nor the stream says

# How far before a checkpoint to seek, one after the other: most files have an index of their keyframes, but a transport
# stream is entered anywhere, and shows its first picture at the keyframe after that.
LEADS_S = (0, 12, 60)


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one file may cost; all are upper bounds, checked positive."""

    max_bytes: int = 16 * 1024**3  # 12 h at 3 Mbit/s, the longest file that is worth decoding in one piece
    max_pixels: int = 8192 * 4352  # the largest picture of HEVC and AV1 level 6: covers 8K, 7680x4320 and 8192x4320
    max_duration_s: float = 12 * 3600.0
    max_sampled_frames: int = 50_000  # the longest duration at one frame a second, with room
    # The two below can only be kept by a process of its own (services.ingest.decode.child).
    max_memory_bytes: int = 4 * 1024**3  # address space; an 8K 10-bit picture takes 100 MB and codecs keep up to 16
    # Processor time: at first, for each second of video that was sampled, and in all. One core decodes 4K at 60 frames
    # a second in 1.5 times its length, and 8K at 30 in three times.
    cpu_start_s: float = 60.0
    cpu_per_s: float = 4.0
    max_cpu_s: int = 3600

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{field.name} must be positive and finite, got {value}")

    def allow_cpu_s(self, video_s: float) -> float:
        """How much processor time a file may have taken when it is sampled up to `video_s`."""
        return min(self.max_cpu_s, self.cpu_start_s + self.cpu_per_s * video_s)


class Sampled(NamedTuple):
    """A file that was sampled to its end. `decoded_share`: of its time, from 0 to 1 (see Coverage)."""

    duration_s: float
    decoded_share: float


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """How a file is sampled; the meaning of all of it is that of `sample_frames`."""

    every_s: float = 1.0
    size: tuple[int, int] | None = None
    remove_bars: bool = False
    panels: bool = False
    limits: DecodeLimits = DecodeLimits()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.every_s) and self.every_s > 0 and min(self.size or (1, 1)) > 0):
            raise ValueError(f"every_s and size must be positive, got {self.every_s} and {self.size}")

    @property
    def grid_s(self) -> Fraction:
        """`every_s`, exact: 3 * 0.1 is above 0.3 in floats, and the frame at 0.3 s would be missed."""
        return Fraction(self.every_s).limit_denominator(1_000_000)


def sample_frames(
    file: BinaryIO,
    *,
    every_s: float = 1.0,
    size: tuple[int, int] | None = None,
    remove_bars: bool = False,
    panels: bool = False,
    limits: DecodeLimits = DecodeLimits(),
) -> Generator[Frame, None, float]:
    """Frames about every `every_s` seconds, upright, RGB; the generator's return value is the duration in seconds.

    The first frame is at 0.0; after it, for each grid point k * every_s, the first decoded frame at or after it, with
    its own time (pts * time_base from the first frame), so a pause longer than `every_s` gives one frame, not several.
    `size` is (width, height), to which the picture is squashed whatever its shape; None keeps the stored size, in which
    pixels need not be square. `remove_bars` removes black bars first. With `panels`, pictures in the picture follow
    their frame, with its time. Damaged packets are skipped. Raises DecodeError if there is no frame, if less than half
    of the file can be decoded, or a limit is exceeded, possibly after yielding frames; ValueError for an `every_s` or a
    `size` that is not positive. OSError of the file itself passes through.
    """
    sampling = sample_with_checkpoints(file, SampleOptions(every_s, size, remove_bars, panels, limits))
    return (yield from cast(Generator[Frame, None, Sampled], sampling)).duration_s


def sample_with_checkpoints(
    file: BinaryIO, options: SampleOptions, *, checkpoint_s: float = math.inf, resume: Checkpoint | None = None
) -> Generator[Frame | Checkpoint, None, Sampled]:
    """The frames of `sample_frames`, and among them about every `checkpoint_s` seconds a checkpoint.

    `resume`: a checkpoint of this file and these options, to yield only the frames after it. It is ignored if the
    decoder does not come to the same picture there. A file whose times are not unique has no checkpoints.
    """
    for start in (resume, None) if resume else (None,):
        with open_container(file, max_bytes=options.limits.max_bytes) as container:
            stream = find_video_stream(container, max_pixels=options.limits.max_pixels)
            rate = stream.average_rate
            frame_s = 1 / rate if rate and 1 <= rate <= 240 else FALLBACK_FRAME_S
            time_base = stream.time_base or frame_s
            clock = FrameClock(time_base, frame_s, start.clock if start else None)
            most, before = options.limits.max_sampled_frames, start.coverage if start else None
            coverage = Coverage(time_base, options.grid_s, most, before)
            read = partial(decode_frames, container, stream, clock, coverage)
            frames = _seek(container, stream, start, read) if start else read()
            if frames is not None:
                has_pts = stores_pts(container)
                sampler = _Sampler(options, clock, coverage, start, checkpoint_s if has_pts else math.inf)
                return (yield from sampler.sample(frames, has_pts=has_pts))
    raise AssertionError("frames from the start are always tried")


class _Sampler:
    """Selects frames and turns them into pictures; continues at the checkpoint `start`."""

    def __init__(
        self,
        options: SampleOptions,
        clock: FrameClock,
        coverage: Coverage,
        start: Checkpoint | None,
        checkpoint_s: float,
    ) -> None:
        self._grid_s = options.grid_s
        self._limits = options.limits
        self._clock = clock
        self._coverage = coverage
        memory = start.panels if start else None
        self._views = Views(options.size, remove_bars=options.remove_bars, panels=options.panels, memory=memory)
        self._sampled = start.sampled if start else 0
        self._checkpoint_s = checkpoint_s
        self._next_s = (start.time_s if start else 0.0) + checkpoint_s

    def sample(self, frames: Iterator[VideoFrame], *, has_pts: bool) -> Generator[Frame | Checkpoint, None, Sampled]:
        clock, limits = self._clock, self._limits
        for frame in frames:
            now_s = clock.tick(frame.pts if has_pts else frame.dts, frame.duration)
            if now_s > limits.max_duration_s:
                raise DecodeError(f"longer than the limit of {limits.max_duration_s:g} s")
            if now_s < clock.due_s:
                continue
            if self._sampled == limits.max_sampled_frames:
                raise DecodeError(f"more than {limits.max_sampled_frames} sampled frames")
            check_pixels(frame.width, frame.height, limits.max_pixels)
            if now_s >= self._next_s and (checkpoint := self._make_checkpoint(float(now_s), frame)):
                self._next_s = float(now_s) + self._checkpoint_s
                yield checkpoint
            self._sampled += 1
            clock.due_s = (now_s // self._grid_s + 1) * self._grid_s
            yield from self._views.add_frame(float(now_s), frame)
        yield from self._views.flush()
        share = self._coverage.share
        if share < LEAST_SHARE:
            raise DecodeError(f"only {share:.0%} of it could be decoded: it is damaged, or needs too much memory")
        return Sampled(float(clock.end_s), share)

    def _make_checkpoint(self, time_s: float, frame: VideoFrame) -> Checkpoint | None:
        """The checkpoint before this frame; None if there can be none."""
        memory = self._clock.memory
        if frame.pts is None or not memory.is_continuous or self._views.holds_frames:
            return None
        try:
            checksum = sum_picture(frame)
        except DecodeError:
            return None
        before = self._coverage.remember(frame.pts)
        return Checkpoint(time_s, frame.pts, checksum, self._sampled, memory, before, self._views.memory)


def _seek(
    container: InputContainer, stream: VideoStream, start: Checkpoint, read: Callable[[], Iterator[VideoFrame]]
) -> Iterator[VideoFrame] | None:
    """The frames from that of the checkpoint on; None if there is another picture, or none, at its time."""
    for lead_s in LEADS_S:
        with suppress(av.error.FFmpegError, DecodeError):
            container.seek(start.pts - round(lead_s / (stream.time_base or 1)), stream=stream)
            frames = read()
            for frame in frames:
                if frame.pts == start.pts and sum_picture(frame) == start.checksum:
                    return chain([frame], frames)
                if frame.pts is None or frame.pts >= start.pts:
                    break
    return None
