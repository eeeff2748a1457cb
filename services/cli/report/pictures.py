"""The pictures of a report as data: URIs: frames of videos, and similarity matrices."""

import base64
import io
import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tca_model.errors import DecodeError
from tca_model.types import FloatArray, Frame
from tca_model.video.decode import DecodeLimits, sample_frames

BOX_PX = (160, 120)  # width and height that a thumbnail fits into
JPEG_QUALITY = 70  # 2 to 5 KB per thumbnail
# viridis of matplotlib (CC0) in eighths: lighter is higher, also for the colour-blind and in grey.
SCALE = (
    *((68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 145, 140)),
    *((40, 174, 128), (94, 201, 98), (173, 220, 48), (253, 231, 37)),
)
SHADES = 64  # more cannot be distinguished, and make the file larger


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture inside its URI, with its size in pixels."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Pictures:
    """The frames of a video by time in seconds; `problem` says why some or all are missing."""

    by_moment: Mapping[float, Picture]
    problem: str | None = None


def read_pictures(
    wanted: Mapping[str, Collection[float]], *, every_s: float, limits: DecodeLimits, workers: int
) -> Iterator[tuple[str, Pictures]]:
    """Yield each path with its pictures at these times, as files are done, `workers` files at once.

    Decodes in threads of this process: all these files were already decoded, in a child process that may crash, when
    they were described.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        files = {pool.submit(_read, path, moments, every_s, limits, stop): path for path, moments in wanted.items()}
        try:
            for done in as_completed(files):
                yield files[done], done.result()
        finally:  # Ctrl-C must not wait for the remaining files
            stop.set()
            pool.shutdown(cancel_futures=True)


def _read(
    path: str, moments: Collection[float], every_s: float, limits: DecodeLimits, stop: threading.Event
) -> Pictures:
    found: dict[float, Picture] = {}
    try:
        with Path(path).open("rb") as file:
            height, width = next(sample_frames(file, limits=limits)).image.shape[:2]
            scale = min(BOX_PX[0] / width, BOX_PX[1] / height)
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            for moment, frame in nearest_frames(
                sample_frames(file, every_s=every_s, size=size, limits=limits), moments
            ):
                if stop.is_set():
                    break
                found[moment] = to_jpeg(frame)
    except OSError as error:
        return Pictures(found, error.strerror or str(error))
    except DecodeError as error:
        return Pictures(found, str(error))
    return Pictures(found)


def nearest_frames(frames: Iterable[Frame], moments: Collection[float]) -> Iterator[tuple[float, Frame]]:
    """Yield each moment with its nearest frame, in order. Reads no more frames than that needs."""
    wanted = deque(sorted(set(moments)))
    before: Frame | None = None
    for frame in frames:
        while wanted and wanted[0] <= frame.timestamp_s:
            moment = wanted.popleft()
            is_nearer = before is None or frame.timestamp_s - moment <= moment - before.timestamp_s
            yield moment, frame if before is None or is_nearer else before
        if not wanted:
            return
        before = frame
    if before is not None:
        yield from ((moment, before) for moment in wanted)


def to_jpeg(frame: Frame) -> Picture:
    """The frame in its own size."""
    image = Image.fromarray(frame.image)
    return _encode(image, "jpeg", quality=JPEG_QUALITY)


def draw_matrix(cells: FloatArray) -> Picture:
    """A matrix (H, W) of similarities with one pixel per cell, coloured by SCALE from 0 to 1; NaN is transparent."""
    shades = np.linspace(0, len(SCALE) - 1, SHADES)
    palette = np.stack([np.interp(shades, range(len(SCALE)), channel) for channel in zip(*SCALE, strict=True)], axis=1)
    known = np.nan_to_num(np.clip(cells, 0, 1))
    image = Image.fromarray(np.where(np.isnan(cells), SHADES, np.rint(known * (SHADES - 1))).astype(np.uint8), "P")
    image.putpalette(np.rint(palette).astype(np.uint8).tobytes() + bytes(3))
    return _encode(image, "png", transparency=SHADES, optimize=True)


def _encode(image: Image.Image, kind: str, **options: int | bool) -> Picture:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Picture(f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}", *image.size)
