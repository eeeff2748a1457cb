"""Frames of a video file at true timestamps: the only reader of files that may be uploads.

FFmpeg sees a nameless file object, a short list of containers and no way to open anything else: a playlist named
.mp4 opened local files and sent HTTP requests until `io_open`, `format_whitelist` and `protocol_whitelist` were set.
What can still go wrong in C (crashes, endless loops, memory) is why services.ingest decodes in child processes.
"""

import math
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from types import SimpleNamespace
from typing import BinaryIO, NoReturn

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tca_model.errors import DecodeError
from tca_model.types import Frame
from tca_model.video.containers import CONTAINERS
from tca_model.video.views import Views

# Each read crosses from C to Python; PyAV's own 32 KiB make eight times as many crossings.
READ_BYTES = 256 * 1024
# Times that go back further than reordering explains start a new origin: concatenated recordings restart at zero.
MAX_STEP_BACK_S = 1
# A still may rest on screen for minutes (slides, surveillance); a jump of hours is a damaged timestamp.
MAX_GAP_S = 3600
FALLBACK_FRAME_S = Fraction(1, 25)  # if neither the frame nor the stream says


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one file may cost; all are upper bounds, checked positive."""

    max_bytes: int = 16 * 1024**3  # 12 h at 3 Mbit/s, the longest file that is worth decoding in one piece
    max_pixels: int = 8192 * 4352  # the largest picture of HEVC and AV1 level 6: covers 8K, 7680x4320 and 8192x4320
    max_duration_s: float = 12 * 3600.0
    max_sampled_frames: int = 50_000  # the longest duration at one frame a second, with room
    # The two below can only be kept by a process of its own (services.ingest.decode.child).
    max_memory_bytes: int = 4 * 1024**3  # address space; an 8K 10-bit picture takes 100 MB and codecs keep up to 16
    max_cpu_s: int = 3600

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{field.name} must be positive and finite, got {value}")


class FrameClock:
    """Seconds from the first frame, of frames in display order; `due_s` is the next time to sample.

    A frame without a timestamp starts when the previous one ends.
    """

    def __init__(self, time_base: Fraction, frame_s: Fraction) -> None:
        self.due_s = Fraction(0)
        self.end_s = Fraction(0)  # where the latest frame stops being shown
        self._time_base = time_base
        self._frame_s = frame_s
        self._origin_s: Fraction | None = None
        self._latest_s = Fraction(0)

    def tick(self, stamp: int | None, duration: int) -> Fraction:
        """The time of the next frame in seconds."""
        now_s = self.end_s
        if stamp is not None:
            stamp_s = stamp * self._time_base
            if self._origin_s is None:
                self._origin_s = stamp_s - self.end_s
            if -MAX_STEP_BACK_S <= stamp_s - self._origin_s - self._latest_s <= MAX_GAP_S:
                now_s = stamp_s - self._origin_s
            else:
                self._origin_s = stamp_s - self.end_s
        self._latest_s = max(self._latest_s, now_s)
        self.end_s = max(self.end_s, now_s + (duration * self._time_base if duration > 0 else self._frame_s))
        return now_s

    def skip_if_early(self, stamp: int | None, duration: int) -> bool:
        """Skip the frame of a packet if it is certainly shown before `due_s`. Returns whether it was skipped."""
        if stamp is None or self._origin_s is None:
            return False
        now_s = stamp * self._time_base - self._origin_s
        if now_s >= self.due_s:
            return False
        self.end_s = max(self.end_s, now_s + duration * self._time_base)
        return True


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
    their frame, with its time. Damaged packets are skipped. Raises DecodeError if there is no frame or a limit is
    exceeded, possibly after yielding frames; ValueError for an `every_s` or a `size` that is not positive. OSError of
    the file itself passes through.
    """
    if not (math.isfinite(every_s) and every_s > 0 and min(size or (1, 1)) > 0):
        raise ValueError(f"every_s and size must be positive, got {every_s} and {size}")
    # Exact arithmetic: 3 * 0.1 is above 0.3 in floats, and the frame at 0.3 s would be missed.
    grid_s = Fraction(every_s).limit_denominator(1_000_000)
    with _open(file, limits) as container:
        stream = _video_stream(container, limits)
        rate = stream.average_rate
        frame_s = 1 / rate if rate and 1 <= rate <= 240 else FALLBACK_FRAME_S
        clock = FrameClock(stream.time_base or frame_s, frame_s)
        views = Views(size, remove_bars=remove_bars, panels=panels)
        sampled = 0
        for frame in _decode(container, stream, clock):
            now_s = clock.tick(frame.pts if _stores_pts(container) else frame.dts, frame.duration)
            if now_s > limits.max_duration_s:
                raise DecodeError(f"longer than the limit of {limits.max_duration_s:g} s")
            if now_s < clock.due_s:
                continue
            if sampled == limits.max_sampled_frames:
                raise DecodeError(f"more than {limits.max_sampled_frames} sampled frames")
            _check_pixels(frame.width, frame.height, limits)
            sampled += 1
            clock.due_s = (now_s // grid_s + 1) * grid_s
            yield from views.add_frame(float(now_s), frame)
        yield from views.flush()
        return float(clock.end_s)


def _deny(*_: object) -> NoReturn:
    raise DecodeError("refers to other files")


def _open(file: BinaryIO, limits: DecodeLimits) -> InputContainer:
    file.seek(0)
    is_mp4 = file.read(8)[4:] == b"ftyp"
    size_bytes = file.seek(0, os.SEEK_END)
    if size_bytes == 0:
        raise DecodeError("empty file")
    if size_bytes > limits.max_bytes:
        raise DecodeError(f"{size_bytes} bytes exceed the limit of {limits.max_bytes} bytes")
    file.seek(0)
    try:
        return av.open(
            # Without its name, by which FFmpeg would guess a format or resolve relative paths, and without close().
            SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell),
            mode="r",
            container_options={"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": ""},
            metadata_errors="replace",
            buffer_size=READ_BYTES,
            io_open=_deny,
        )
    except av.error.MemoryError as error:
        raise DecodeError("opening it needs more memory than is allowed") from error
    except av.error.FFmpegError as error:
        if is_mp4:
            raise DecodeError("truncated or damaged: the index of the file (moov) cannot be read") from error
        raise DecodeError("not a video, or of a format that is not accepted") from error


def _video_stream(container: InputContainer, limits: DecodeLimits) -> VideoStream:
    """The stream that a player shows, with its decoder set up; cover art is ignored."""
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    films = [stream for stream in container.streams.video if not stream.disposition & pictures]
    if not films:
        raise DecodeError("no video stream (audio only)" if container.streams.audio else "no video, or truncated")
    streams = [stream for stream in films if stream.codec_context is not None]  # can be None, contrary to the stubs
    if not streams:
        raise DecodeError("no decoder for its video codec")
    best = max(streams, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height))
    _check_pixels(best.width, best.height, limits)
    for other in container.streams:
        other.discard = Discard.default if other.index == best.index else Discard.all
    best.codec_context.thread_count = 1  # one child process per core; frame threads would also delay `skip_frame`
    best.codec_context.options = {"max_pixels": str(limits.max_pixels)}
    return best


def _decode(container: InputContainer, stream: VideoStream, clock: FrameClock) -> Iterator[VideoFrame]:
    """The frames that can be decoded, in display order; raises DecodeError if there is none.

    Frames that are neither due nor referenced are not decoded: the same samples, and up to half the time saved on files
    with B-frames.
    """
    codec = stream.codec_context
    any_frame = False
    damage: av.error.FFmpegError | None = None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            skip = _stores_pts(container) and clock.skip_if_early(packet.pts, packet.duration or 0)
            codec.skip_frame = "NONREF" if skip else "DEFAULT"
            frames = packet.decode()
        except av.error.MemoryError as error:
            raise DecodeError("decoding it needs more memory than is allowed") from error
        except av.error.FFmpegError as error:
            # After an error of the demuxer itself its generator is spent, and the next turn ends the loop.
            damage = error
            continue
        for frame in frames:
            any_frame = True
            yield frame
    if not any_frame:
        raise DecodeError("no frame could be decoded" + (f" ({damage.strerror})" if damage else "")) from damage


def _stores_pts(container: InputContainer) -> bool:
    """Whether packets say when they are shown; in AVI only the order of the decoded frames does."""
    return container.format.name != "avi"


def _check_pixels(width: int, height: int, limits: DecodeLimits) -> None:
    if width * height > limits.max_pixels:
        raise DecodeError(f"{width}x{height} pixels exceed the limit of {limits.max_pixels} pixels")
