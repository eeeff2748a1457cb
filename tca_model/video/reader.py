"""Reads the frames of a file that may be an upload: the only place where FFmpeg gets to see one.

FFmpeg sees a nameless file object, a short list of containers and no way to open anything else: a playlist named
.mp4 opened local files and sent HTTP requests until `io_open`, `format_whitelist` and `protocol_whitelist` were set.
What can still go wrong in C (crashes, endless loops, memory) is why services.ingest decodes in child processes.
"""

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import BinaryIO, NoReturn

import av
import numpy as np
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tca_model.errors import DecodeError
from tca_model.video.clock import FrameClock
from tca_model.video.containers import CONTAINERS
from tca_model.video.coverage import Coverage

# Each read crosses from C to Python; PyAV's own 32 KiB make eight times as many crossings.
READ_BYTES = 256 * 1024
# What a picture takes at most: four samples of 16 bits.
PIXEL_BYTES = 8
OUT_OF_MEMORY = "decoding it needs more memory than is allowed"


def _deny(*_: object) -> NoReturn:
    raise DecodeError("refers to other files")


def open_container(file: BinaryIO, *, max_bytes: int) -> InputContainer:
    """The file, opened so that nothing in it can open anything else. Raises DecodeError."""
    file.seek(0)
    is_mp4 = file.read(8)[4:] == b"ftyp"
    size_bytes = file.seek(0, os.SEEK_END)
    if size_bytes == 0:
        raise DecodeError("empty file")
    if size_bytes > max_bytes:
        raise DecodeError(f"{size_bytes} bytes exceed the limit of {max_bytes} bytes")
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


def find_video_stream(container: InputContainer, *, max_pixels: int) -> VideoStream:
    """The stream that a player shows, with its decoder set up; cover art is ignored. Raises DecodeError."""
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    films = [stream for stream in container.streams.video if not stream.disposition & pictures]
    if not films:
        raise DecodeError("no video stream (audio only)" if container.streams.audio else "no video, or truncated")
    streams = [stream for stream in films if stream.codec_context is not None]  # can be None, contrary to the stubs
    if not streams:
        raise DecodeError("no decoder for its video codec")
    best = max(streams, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height))
    check_pixels(best.width, best.height, max_pixels)
    for other in container.streams:
        other.discard = Discard.default if other.index == best.index else Discard.all
    best.codec_context.thread_count = 1  # one child process per core; frame threads would also delay `skip_frame`
    best.codec_context.options = {"max_pixels": str(max_pixels)}
    return best


def decode_frames(
    container: InputContainer, stream: VideoStream, clock: FrameClock, coverage: Coverage
) -> Iterator[VideoFrame]:
    """The frames that can be decoded, in display order; raises DecodeError if there is none, or no memory for one.

    Frames that are neither due nor referenced are not decoded: the same samples, and up to half the time saved on files
    with B-frames. `coverage` learns of the others, and of what became of them.
    """
    codec = stream.codec_context
    has_pts = stores_pts(container)
    any_frame = False
    damage: str | None = None  # not the error: it refers to this frame of the stack, and with it to pictures
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            skip = has_pts and clock.skip_if_early(packet.pts, packet.duration or 0)
            codec.skip_frame = "NONREF" if skip else "DEFAULT"
            if not skip and packet.size and not packet.is_discard:  # an edit list leaves out what is discarded
                coverage.expect(packet.pts if has_pts else packet.dts, is_keyframe=packet.is_keyframe)
            frames = packet.decode()
        except av.error.MemoryError as error:
            raise DecodeError(OUT_OF_MEMORY) from error
        except av.error.FFmpegError as error:
            # After an error of the demuxer itself its generator is spent, and the next turn ends the loop.
            damage = error.strerror
            _check_memory(stream)
            continue
        for frame in frames:
            any_frame = True
            coverage.show(frame.pts if has_pts else frame.dts)
            yield frame
    if not any_frame:
        raise DecodeError("no frame could be decoded" + (f" ({damage})" if damage else ""))


def _check_memory(stream: VideoStream) -> None:
    """Raise DecodeError if there is no memory for another picture: many codecs call that invalid data."""
    try:
        np.empty(stream.width * stream.height * PIXEL_BYTES, np.uint8)  # address space; no page is touched
    except MemoryError as error:
        raise DecodeError(OUT_OF_MEMORY) from error


def stores_pts(container: InputContainer) -> bool:
    """Whether packets say when they are shown; in AVI only the order of the decoded frames does."""
    return container.format.name != "avi"


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raise DecodeError for a picture that is too large."""
    if width * height > max_pixels:
        raise DecodeError(f"{width}x{height} pixels exceed the limit of {max_pixels} pixels")
