"""Clips made for tests: every picture carries its own time, so that a test knows which one it got."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

# Brightness per second of video. Codecs and colour conversion move it by less than 2, or 0.4 s.
LEVELS_PER_S = 5
DARKEST = 20  # room below, so that limited-range rounding does not clip
LONGEST_S = 44


def picture(time_s: float, size: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    """A grey (H, W, 3) whose brightness is the time."""
    assert 0 <= time_s <= LONGEST_S, "brighter than white"
    return np.full((size[1], size[0], 3), round(DARKEST + LEVELS_PER_S * time_s), np.uint8)


def time_in(image: NDArray[np.uint8]) -> float:
    """The time that a picture carries, in seconds."""
    return (float(image.mean()) - DARKEST) / LEVELS_PER_S


def four_corners(size: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    """Quarters of different brightness: 40 top left, 90 top right, 140 bottom left, 190 bottom right."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = 40
    image[: height // 2, width // 2 :] = 90
    image[height // 2 :, : width // 2] = 140
    image[height // 2 :, width // 2 :] = 190
    return image


def corners_in(image: NDArray[np.uint8]) -> list[int]:
    """The nominal brightness of the four quarters: top left, top right, bottom left, bottom right."""
    height, width = image.shape[:2]
    rows, columns = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    return [min((40, 90, 140, 190), key=lambda v: abs(v - int(image[y, x, 0]))) for y in rows for x in columns]


def write_clip(
    path: Path,
    times_s: Iterable[float],
    *,
    images: Iterable[NDArray[np.uint8]] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (64, 48),
    start_s: float = 0.0,
    options: dict[str, str] | None = None,
    rotation: tuple[float, bool, bool] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Writes one frame a time, container by suffix; `rotation` is PyAV's set_display_rotation (degrees, hflip, vflip).

    The pictures are `picture(time)` by default.
    """
    times = list(times_s)
    pictures = [picture(t, size) for t in times] if images is None else list(images)
    # MPEG-1 and 2 know a few rates only, and their units.
    unit = 25 if codec in ("mpeg1video", "mpeg2video") else 100 if path.suffix == ".gif" else 12_000
    time_base = Fraction(1, unit)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = size[0], size[1], pix_fmt
        stream.time_base = stream.codec_context.time_base = time_base
        if rotation is not None:
            stream.set_display_rotation(rotation[0], hflip=rotation[1], vflip=rotation[2])
        for time_s, image in zip(times, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = round((start_s + time_s) / time_base), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def steady(duration_s: float, fps: float) -> list[float]:
    """Frame times of a constant frame rate."""
    return [n / fps for n in range(round(duration_s * fps))]


def write_sound(path: Path) -> Path:
    """A second of silence, and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def drifting(seed: int, frames: int, size: tuple[int, int] = (320, 180)) -> list[NDArray[np.uint8]]:
    """A soft texture (H, W, 3) that drifts, as what a camera sees."""
    (width, height), blob_px, drift_px = size, 20, 40
    rows, columns = height // blob_px + 3, (width + drift_px * frames) // blob_px + 3
    blobs = np.random.default_rng(seed).integers(0, 256, size=(rows, columns))
    luma = np.kron(blobs, np.ones((blob_px, blob_px)))
    for axis in (0, 1):
        luma = np.apply_along_axis(np.convolve, axis, luma, np.ones(blob_px) / blob_px, "same")
    luma = np.clip(128 + 1.5 * (luma - luma.mean()), 0, 255).astype(np.uint8)[:, :, np.newaxis].repeat(3, axis=2)
    return [luma[:height, drift_px * n : drift_px * n + width] for n in range(frames)]


def write_parted_clip(path: Path, seconds: int = 8) -> Path:
    """Two drifting pictures side by side, one frame a second."""
    halves = zip(drifting(1, seconds, (160, 180)), drifting(2, seconds, (160, 180)), strict=True)
    images = [np.concatenate(pair, axis=1) for pair in halves]
    return write_clip(path, steady(seconds, 1), images=images, size=(320, 180))
