"""Writes RGB images as an H.264 mp4; the only encoder of video."""

from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from itertools import chain
from pathlib import Path

import av

from tca_model.files import replacing
from tca_model.types import Image

# Broadcast rates are n/1001; a coarser fraction would drift by a frame within minutes.
MAX_RATE_DENOMINATOR = 1001
CPU_INFO = Path("/proc/cpuinfo")


def write_video(path: Path, images: Iterable[Image], *, fps: float, crf: int = 23) -> None:
    """Write `images` (each (H, W, 3), all of one size) to `path` at `fps`, with one in memory at a time.

    The same images give the same file: one thread, and none of x264's AVX-512 code, whose decisions differ from run to
    run. Another build of x264 or another processor family may write other bytes, for pictures that look the same.
    An odd last row or column is cut off, because yuv420p halves both sides. The file appears at `path` only when it is
    complete. Raises ValueError without images, if their sizes differ, if a side is shorter than two pixels, or if `fps`
    is not positive.
    """
    if not fps > 0:
        raise ValueError(f"fps must be positive, got {fps}")
    remaining = iter(images)
    first = next(remaining, None)
    if first is None:
        raise ValueError(f"no images to write to {path}")
    with replacing(path) as new:
        _encode(new, first, chain([first], remaining), fps=fps, crf=crf)


def _encode(path: Path, first: Image, images: Iterable[Image], *, fps: float, crf: int) -> None:
    height, width = (side // 2 * 2 for side in first.shape[:2])
    if not (height and width):
        raise ValueError(f"an image of {first.shape} is too small for H.264")
    rate = Fraction(fps).limit_denominator(MAX_RATE_DENOMINATOR)
    with av.open(str(path), "w", format="mp4") as container:
        options = {"crf": str(crf), "preset": "veryfast"} | reproducible_options(_read_cpu_info())
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index, image in enumerate(images):
            if image.shape != first.shape:
                raise ValueError(f"image {index} is {image.shape}, the first one is {first.shape}")
            frame = av.VideoFrame.from_ndarray(image[:height, :width], format="rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def reproducible_options(cpu_info: str) -> dict[str, str]:
    """x264 options that make files reproducible on a processor with this /proc/cpuinfo."""
    # x264 takes `asm` for the processor's real abilities, so it is set only on processors that have more.
    return {"threads": "1"} | ({"x264-params": "asm=avx2"} if "avx512" in cpu_info else {})


@cache
def _read_cpu_info() -> str:
    return CPU_INFO.read_text() if CPU_INFO.exists() else ""
